"""What goes over a connection between two processes: frames, the plain objects in them, and what they weigh before they are made.

Not here: which frames are sent when (`session`, `member_session`), and the sockets that they go through (`doors`).
"""
