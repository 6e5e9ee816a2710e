"""The actors beside the queue, and the parts of a run in one hand.

- `runtime` holds the parts. `role_table` builds each actor from those that it uses; `roles` is the table of an owner's run.
- `supervisor` restarts what died, within `restart_budget`, and notes it by `actor_record`. `succession` replaces the supervisor.
- `timer` wakes actors, `scheduler` publishes at ticks, `relay` publishes what is in outboxes and the spool.
- `dead_letter_index` knows all dead letters; `bulk_runner` carries out bulk acts on them.

Not here: the rules that they follow (`events`).
"""
