"""`perdure status`: one screen of a folder or a queue, drawn anew.

`status_command` asks and waits, `status_screen` draws, with `sparkline`; `owners_figures` are what the owner alone
knows, `queue_watch` looks at all partitions of a queue. Not here: how the log is followed (`perdure.operations.watch`).
"""
