"""Other processes at the owner's door: frames, the objects in them, one session for each peer, and the socket they come in by.

- `server`: the thread that watches the sockets, which are in `doors`. `framing`: frames; `crossing`: what may stand in them.
- `session`: one peer and what it asks. `peer_requests`: what it waits for, and its answers. `rights`, `bounds`: what it may ask.
- `member_session`: the peer's workers. `delivered`: what goes to them. `begin_marks`: what they have begun. `departures`: its end.
- `figures`: what a run tells of itself besides what actors answer. `handover`: a request for the folder.

Not here: the other end of the connection (`perdure.processes`), and the rules, which do not know where a request came from.
"""
