"""The bytes of the log: `frame`, `segment` and `snapshot_file`. Layout, checksums, hash chain.

Not here: which file is written when (`files`), system calls (`disk`), and what a body means (`events/codec`).
"""
