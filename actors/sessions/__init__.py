"""Other processes at the owner's door: frames, the objects in them, one session for each peer, and the socket they come in by.

`framing` has the frames and what may stand in them, `doors` the sockets, `session` what a peer may ask, `server` the thread that
watches them, `crossing` and `delivered` what goes to a member, `figures` what a run tells of itself besides what actors answer.

Not here: the other end of the connection (`perdure.processes`), and the rules, which do not know where a request came from.
"""
