"""How a handler is called, awaited, interrupted: in a thread, on an event loop, in a child process.

`invocation` calls and stops, `event_loop` runs coroutines, `child_process` and `child_main` are the two ends of a process handler,
`pickling` and `child_log` are what passes between them, `returned` checks what a call gave back,
`forks` ends a child that a handler forked and let return.

Not here: which message is handled when (`workers`).
"""
