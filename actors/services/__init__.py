"""The actors beside the queue: supervisor, timer, scheduler, outbox relay, dead letters.

`supervisor` restarts what died within `restart_budget`; the others do one job each.

Not here: the rules that they follow (`events`).
"""
