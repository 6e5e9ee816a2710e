"""A log in a folder of segment files and snapshots: its owner, its readers, and a copy of it.

- The owner: `segment_writer` appends and syncs, `segment_recovery` finds where to go on (`log_end`, `torn_or_damaged`),
  `segment_store` is the whole.
- Readers: `folder_reader` reads frames and snapshots, `frame_index` finds the newest frames, `listing` says what lies in a folder.
- Around them: `retention` says which snapshots are no longer needed, and drops or archives old segments, `folder_identity`
  notices a moved folder, `payload_spill` keeps waiting payloads, `folder_copy` writes a copy.

Not here: system calls (`disk`), the layout of bytes (`format`), verification and repair (`maintenance`).
"""
