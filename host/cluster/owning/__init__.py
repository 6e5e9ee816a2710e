"""Which partitions this process owns: `balance` has the rules, `keeper` the thread that applies them, `hosted` runs what is owned.

Not here: how one partition is owned (`perdure.store.postgres`), and the way to a partition wherever it is (`partition_access`).
"""
