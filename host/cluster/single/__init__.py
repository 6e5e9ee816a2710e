"""What a cluster has once, although each partition is a System: hooks once in a process, and relays of outboxes once in all.

`process_hooks` runs start and stop hooks once in a process, on the event loop that all of its partitions share. `outbox_rows` moves
rows of an outbox to their partitions, in the process that owns partition 0. `singular` is the part of the front door for both. Not
here: which process owns what (`perdure.cluster.owning.keeper`), and the table of an outbox (`perdure.outbox`).
"""
