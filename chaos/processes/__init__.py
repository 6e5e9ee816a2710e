"""Real processes that are killed or made to fail: at each system call, at each line of the store.

`forked_child` is the process, `workload` what it does, `syscalls` and `kill_lines` how it is reached, `sweep` visits every point.
"""
