"""What a peer has asked and how it is answered: `peer_requests` has its requests without an answer, and its answers.

Actors answer through `replies`; `direct_answer` is an answer that an actor's thread sends itself.

Not here: whether a request may be made, and to which actor it goes (`session`), and how an answer looks in a frame (`framing`).
"""
