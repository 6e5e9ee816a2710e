"""The queue actor: the only decider about messages, as a shell round the rules of `events/queue`.

`queue` is the actor, `admission` takes publishes in, `waiting_publishers` hold back those without room, `deliveries` go out to the
workers, `queue_report` answers for the metrics.

Not here: the rules (`events/queue`), and handlers (`workers`).
"""
