"""Answers from the log alone. Nothing here changes anything, or needs a running system.

- `records` reads a log, `record` is one event as it is given to a reader; `identities` finds the message that an event is about,
  `attempt_counts` which of its attempts, as the handler counted it.
- `explanation`: what a message waits for. `descendants`: what came of it. `search`: which messages an expression selects.
- `stuck_groups`: which groups one message holds up.
- `acts`: who did what. `dropped_history` refuses what a log without its beginning cannot answer.

Not here: the front of it (`audit`), and what acts (`admin`, `dead_letters`).
"""
