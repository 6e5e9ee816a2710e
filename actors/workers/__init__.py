"""Handlers at work: the dispatcher, the workers of each handler, and what they report.

- `dispatcher` decides which handlers run with how many workers; `staff` looks after the workers of one process.
- `worker` runs one message at a time, `context` is what a handler sees, `handler_spec` its options, `publisher` the host's codec.
- `pools` are what workers of one handler share, those in other processes too.
- `outcome`, `reporting` report to the queue how it went; `finishing` ends what was put round a call.
- `gates` bounds the calls of several runs in one process.

Not here: how a call is made or stopped (`execution`), and when a message is retried (`events/queue/outcomes`).
"""
