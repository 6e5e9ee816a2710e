"""Other processes on one folder: `perdure.connect` and the `Client` that it returns.

`client` has what a user calls, `connection` the thread and the socket that carry requests to whatever process owns the folder.

Not here: the owner's end of the connection (`perdure.actors.sessions`), and what a publish or a result is (`publishing`).
"""
