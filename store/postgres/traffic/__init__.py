"""What passes between a partition's owner and other processes through the database, and how it wakes an owner that sleeps.

`ingress` has what others publish, `channels` the connections by which they ask and are answered, over `channel_sessions`. `watch`
has the one connection of a process over which hints come that something has arrived. Not here: what a row or a frame means, which
is the host's.
"""
