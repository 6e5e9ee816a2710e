"""Other processes that ask the owner: frames, the objects in them, one session for each peer, and the socket they come in by.

- `server`: the thread that watches the sockets, which are in `listening`; `peer`: one connection.
- `framing`: frames; `crossing`: what may stand in them.
- `direct_answer`: an answer that an actor sends itself.
- `session`: one peer and what it asks. `peer_requests`: what it waits for, and its answers, which come by `replies`.
- `rights`, `bounds`: what a peer may ask. `handover`: it asks for the folder. `departures`: its connection has ended.
- `member_session`: the peer's workers; `member_outcomes`: what they report. `delivered`: what goes to them.
- `begin_marks`: what they have begun.
- `figures`: what a run tells of itself besides what actors answer.

Not here: the other end of the connection (`perdure.processes`), and the rules, which do not know where a request came from.
"""
