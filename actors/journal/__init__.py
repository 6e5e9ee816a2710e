"""The log's owner and its readers among the actors: append, sync, snapshot, recover.

`journal` orders and writes, `decider` is an actor whose state is a fold of the log, `log_state` is what outlives both. `log_fold`
rebuilds a state from snapshot and log, `warm_fold` keeps one at hand while another process owns the log, `snapshotter` saves
snapshots, `encoding_errors` refuses what cannot be written, `gathering` decides when a frame waits for more requests.

Not here: files (`store`), and the meaning of events (`events`).
"""
