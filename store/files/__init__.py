"""A log in a folder of segment files and snapshots: its owner and its readers.

`segment_store` is the owner, `folder_reader` reads without owning, `log_end` finds where a log ends, `history` drops or archives
old segments, `folder_identity` notices a moved folder, `payload_spill` keeps waiting payloads.

Not here: system calls (`disk`), the layout of bytes (`format`), verification and repair (`maintenance`).
"""
