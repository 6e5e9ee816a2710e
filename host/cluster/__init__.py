"""One queue over many hosts: its partitions are spread over the processes that live, with PostgreSQL between them.

`cluster` is the front door, `joining_and_leaving` its start and stop. `routing` says which partition a message belongs to: pure
rules. `owning` keeps the partitions of this process, `partition_access` is the way to each partition, here or elsewhere.
`adapted_handlers` says what becomes of a handler's options; `sums` adds up what operators ask,
`cluster_audit` reads the logs of all partitions.

`blueprint` says what each partition's System is made of, `placed` and `partition_info` where partitions are, `on_record` whether a
cluster fits the database. `routed` publishes over all of them, `draining` waits until nothing is left in any; `cluster_client` does
so for a process that owns none. `acts` asks all of them, several at a time, `across` sends what handlers publish for another
partition, `single` has what there is once.

How one partition is owned is in `perdure.store.postgres`, how a System runs it in `perdure.system`.
"""
