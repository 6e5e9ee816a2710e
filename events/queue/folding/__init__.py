"""How each event changes the queue's state.

`folds` is the entry of `evolve`, one small function for each event class. `placement` puts messages where they stand (keys, groups,
slots), `plain_messages` folds plain ones many at a time, `retention` remembers ended messages, `spilling` moves payloads to disk,
`bulk_fold` folds bulk acts.

Not here: decisions (`events/queue`), which never change the state.
"""
