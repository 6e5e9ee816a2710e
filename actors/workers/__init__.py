"""Handlers at work: the dispatcher, the workers of each handler, and what they report.

`dispatcher` decides which handlers run with how many workers, `worker` runs one at a time, `pool` is what workers of one handler
share, `handler_pools` finds it by type, `context` is what a handler sees, `outcome` and `reporting` tell the queue how it went,
`result_waits` refuses waits of handlers for one another that could not end.

Not here: how a call is made or stopped (`execution`), and when a message is retried (`events/queue/outcomes`).
"""
