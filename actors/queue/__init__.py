"""The queue actor: the only decider about messages, as a shell round the rules of `events/queue`.

`queue` answers requests and lets time pass, `decision_pass` decides, folds and sends to the journal, `admission` takes in
publishes, `waiting_publishers` hold back those without room, `deliveries` feeds the workers, `queue_report` serves the metrics.

Not here: the rules (`events/queue`), and handlers (`workers`).
"""
