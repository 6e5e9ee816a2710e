"""The bytes of events and of states, and how they are read back.

`wire` encodes events in columns, `upcast` reads older versions. `snapshot` encodes all states, with `queue_snapshot` and
`block_snapshot` for the queue's part and `snapshot_framing` for the layout of the bytes.

Not here: how much room events take (`events/commit_size`); frames, checksums and files (`store/format`).
"""
