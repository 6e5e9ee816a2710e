"""The way from this process to the owner of a folder or a queue, and what passes on it.

- `connection` finds an owner and looks after the socket, of which `link` is one; `traffic` is how all threads use it, `leading`
  which of them reads. `database_connection` is the same for a queue in a database.
- `exchange` is what passes, without a socket; `waiting` is what becomes of requests that nothing answers; `equipped` what parts of
  a process enter into it.
- `spooling` keeps publishes while there is no owner; `held_publishes` are those that wait until an owner has taken these in.
- `no_owner` says why a request got no answer.

Not here: how an owner is reached (`ways`), what is asked (`client`, `member`), and the owner's end (`perdure.actors.sessions`).
"""
