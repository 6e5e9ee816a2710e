"""Where an owner is reached: `sockets` in the folder or on a port (`loopback`).

`reach` says which users may open them, `waker` is the pipe that wakes the watching thread. `waiting_line` holds those that connect
while the owner reads its log.

Not here: what is sent over them (`framing`, `session`).
"""
