"""The actors beside the queue: supervisor, timer, scheduler, outbox relay, dead letters; and the parts of a run in one hand.

`runtime` holds the parts, `roles` builds each actor from those that it uses, `supervisor` restarts what died within
`restart_budget`; the others do one job each.

Not here: the rules that they follow (`events`).
"""
