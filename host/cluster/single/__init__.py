"""What a cluster has once, although each of its partitions is a System: hooks in each process, and relays of outboxes over all.

`process_hooks` runs start and stop hooks once in a process, on the event loop that all of its partitions share. `outbox_rows` moves
rows of an outbox to the partitions that they belong to, in whichever process owns the first partition. `singular` is the part of
the front door for both. Not here: which process owns what (`perdure.cluster.owning.keeper`), and the table of an outbox
(`perdure.outbox`).
"""
