"""Where an owner is reached: sockets in the folder or on a port, who may open them, and the pipe that wakes the watching thread.

Not here: what is said on them (`framing`, `session`).
"""
