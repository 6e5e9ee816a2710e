"""Other processes that ask the owner: frames, the objects in them, one session for each peer, and the socket they come in by.

- `server`: the thread that watches the sockets, which are in `listening`; `peer`: one connection.
- `session`: one peer and what it asks. `answers`: its requests and their answers. `member_work`: its handlers.
- `owner`: what a session needs of the run.
- `framing`: frames; `crossing`: what may stand in them.
- `rights`, `bounds`: what a peer may ask. `handover`: it asks for the folder. `departures`: its connection has ended.
- `figures`: counts about a run that no actor is asked for.

Not here: the other end of the connection (`perdure.processes`), and the rules, which do not know where a request came from.
"""
