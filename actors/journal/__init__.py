"""The log's owner and its readers among the actors: append, sync, snapshot, recover.

`journal` orders and writes, `decider` is an actor whose state is a fold of the log, `log_state` is what outlives both, `recovery`
rebuilds a state from snapshot and log, `snapshotter` saves snapshots, `encoding_errors` sorts out what cannot be written.

Not here: files (`store`), and the meaning of events (`events`).
"""
