"""Pools: what the workers of one handler share, and how the actors hand it to one another.

- `pool` has the mailbox of one handler and the deliveries that are out with its workers; `handler_pools` finds it by type.
- `member_pool` stands in the owner for the workers of another process.
- `worker_messages` are the messages that carry a pool between actors.
- `result_waits` refuses waits of handlers for one another that could not end.

Not here: the workers themselves (`worker`, `staff`), and how many may be out (`dispatcher`).
"""
