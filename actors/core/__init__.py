"""What every actor is made of: the actor class, its mailbox, clock, executor and messages, and what outlives single actors.

- `actor` wraps Pykka, `directory` finds actors by name, `executor` runs them; `foreign_lines` are left out of the host's log.
- `messages` are what actors send each other.
- `clock` is the time, `threads` is what threads share, `tuning` the options that actors read.
- `health` counts deaths, `latency` measures durations, `log_lines` are the lines about messages, for a host's log.
- `extensions` are the host's schedules and outboxes. `texts` makes texts from outside safe, `users` names the machine's users.

Not here: any particular actor, the log (`journal`), requests (`requests`), and any rule about messages (`events`).
"""
