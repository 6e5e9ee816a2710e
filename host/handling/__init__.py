"""Handlers as the host declares them: decorators, options, signatures, hooks, schedules, manual consumers.

- `declaring` has `handler`, `batch_handler` and `every`, which `decorators` enters into a System and `handlers` keeps for one;
  `including` takes in the latter.
- `options` has their options and the checks of those; `handler_typing` what type checkers know of a handler.
- `signatures` reads how a handler is called, `dependencies` injects services, and `registration` puts all of it together.
- `recurring` says when the ticks of a schedule are due, `hooks` run at start and stop.
- `consuming` is `checkout`, which returns the `Delivery` of `manual_delivery`; and waiting until nothing is left.

Not here: workers and child processes (`actors/workers`, `actors/execution`), and the rules of retries (`events/handlers`).
"""
