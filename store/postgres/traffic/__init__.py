"""What passes between a partition's owner and other processes through the database, and how an owner that sleeps is told of it.

`ingress` has what others publish, `channels` the connections by which they ask and are answered, `watch` the one connection of a
process over which it is told that something came. Not here: what a row or a frame means, which is the host's.
"""
