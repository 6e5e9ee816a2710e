"""The queue actor: the only decider about messages, as a shell round the rules of `events/queue`.

- `queue` answers requests. `decision_pass` decides, folds and sends to the journal.
- `admission` takes in publishes; `waiting_publishers` hold back those without room.
- `passing_time` looks at deadlines. `operators_acts` answers operators, `consumers` answers manual consumers.
- `deliveries` feeds the workers; `shared_pools` divides among several processes.
- `orphans`, `reattaching`, `lost_runs`: attempts that run in a process, and that this term of the queue did not hand out.
- `queue_report` serves the metrics.

Not here: the rules (`events/queue`), and handlers (`workers`).
"""
