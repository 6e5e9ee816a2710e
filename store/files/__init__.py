"""A data folder on disk: its owner, its readers, its lock, and how history leaves it.

`segment_store` is the owner, `folder_reader` reads without owning, `folder_lock` guards, `log_end` finds where a log ends,
`history` and `retention_hold` govern old segments, `payload_spill` keeps waiting payloads, `opened_folder` and
`folder_identity` notice a moved folder, `disk` has every system call.

Not here: the layout of bytes (`format`), checks and repair of a whole folder (`maintenance`).
"""
