"""The log's owner and its readers among the actors: append, sync, snapshot, recover.

`journal` orders and writes, `encoding_errors` sorts out what cannot be written, `recovery` rebuilds a state from snapshot and log,
`snapshotter` saves snapshots.

Not here: files (`store`), and the meaning of events (`events`).
"""
