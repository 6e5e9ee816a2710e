"""Every call of the store to the operating system.

`disk` has all file operations, `opened_folder` looks names up in a folder that may be moved, `folder_lock` is the owner's lock,
`permissions` says who else could change a folder, `large_file` writes in large pieces, `whole_file` a file that exists whole or not
at all, `advice` explains errors, `polling` says whether sockets can be waited for, `background_thread` is a thread whose failed
start is seen, `enduring_thread` one that goes on whatever is raised in it, `each_alone` calls a function for each object although
it raises for some (after a fork, at the exit), `forked_locks` has locks that are free in a forked child.

Not here: the layout of bytes (`format`), and what is written when (`files`).
"""
