"""What goes over a connection between two processes.

`wire` has the frames, `objects` the plain objects in them, `weight` what they would weigh before they are made. `delivered` puts
deliveries and their outcomes in frames; `moments` has times cross between clocks that differ.

Not here: which frames are sent when (`session`, `member_session`), and the sockets that they go through (`listening`).
"""
