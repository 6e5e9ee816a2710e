"""Other processes at the owner's door: frames, the objects in them, one session for each peer, and the socket they come in by.

`wire` has the frames, `objects` and `crossing` what may stand in them, `session` what a peer may ask, `server` the socket and its
thread, `figures` what a run tells of itself besides what its actors answer.

Not here: the other end of the connection (`perdure.processes`), and the rules, which do not know where a request came from.
"""
