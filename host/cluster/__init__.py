"""One queue over many hosts: its partitions are spread over the running processes, with PostgreSQL between them.

`cluster` is the front door, `joining_and_leaving` has its start and stop. `routing` has the rules that assign a message to a
partition. `owning` opens and closes the partitions of this process, `partition_access` finds the way to a partition, here or
elsewhere. `adapted_handlers` divides a handler's options among partitions. `sums` adds up the answers to operators,
`cluster_audit` reads the logs of all partitions.

`blueprint` lists the parts of each partition's System, `placed` and `partition_info` show where partitions are, `on_record` checks
that a cluster fits the database. `routed` publishes to all partitions, `draining` waits until nothing is left in any.
`cluster_client` does both for a process that owns none. `acts` asks all partitions, several at a time, `across` sends what handlers
publish for another partition, `single` has what a cluster has once.

How one partition is owned is in `perdure.store.postgres`, how a System runs it in `perdure.system`.
"""
