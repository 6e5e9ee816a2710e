"""Other processes on one folder, or on a queue in a database: `perdure.connect` and shared Systems.

- `client` has what a user calls; `connected` and `database_connection` are what it stands on.
- `exchange` is what passes between a process and the owner, without a socket; `connection`, `link` and `leading` are the socket and
  the threads that read and write it; `ways` lead to an owner. `facts` is what a process takes over from it.
- `roles` takes the lock or connects, by the table of `role_rules`; `member` is a shared System that does not own the folder,
  `deputy` keeps what it needs to take over.
- `spooling` keeps publishes while there is no owner; `no_owner` says why a request got no answer.

Not here: the owner's end of the connection (`perdure.actors.sessions`), and what a publish or a result is (`publishing`).
"""
