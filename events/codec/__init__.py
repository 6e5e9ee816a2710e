"""How events and states become bytes and come back.

`wire` encodes events in columns, `runs` are events of plain messages in columns, `upcast` reads older versions, `snapshot` and
`block_snapshot` encode states, `commit_size` bounds what one commit takes.

Not here: frames, checksums and files (`store/format`).
"""
