"""Other processes on one folder: `perdure.connect` and the `Client` that it returns.

`client` has what a user calls. `exchange` is what passes between a client and the owner, without a socket; `connection`, `link` and
`leading` are the socket and the threads that read and write it.

Not here: the owner's end of the connection (`perdure.actors.sessions`), and what a publish or a result is (`publishing`).
"""
