"""How a handler is called, awaited, interrupted: in a thread, on an event loop, in a child process.

- `invocation` calls and stops. `host_context` is what the host's code runs in, `returned` checks what a call gave back.
- `event_loop` runs coroutines, each of which is a `loop_call`.
- `child_process` and `child_main` are the two ends of a process handler; `pickling` and `child_log` are what passes between them.
- `forks` ends a child that a handler forked and let return.

Not here: which message is handled when (`workers`).
"""
