"""Handlers as the host declares them: decorators, options, signatures, hooks, schedules, manual consumers.

`decorators` has `handler`, `batch_handler` and `every`; `registration` checks and assembles a handler; `signatures` reads how it
is to be called; `handler_options` holds what can be set for one; `dependencies` injects services; `hooks` run at start and stop.

Not here: workers and child processes (`actors/workers`, `actors/execution`), and the rules of retries (`events/handlers`).
"""
