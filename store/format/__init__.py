"""The bytes of the log: frames, segment files, snapshot files. Layout, checksums, hash chain.

Not here: which file is written when (`files`), system calls (`disk`), and what a body means (`events/codec`).
"""
