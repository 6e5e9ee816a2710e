"""Messages from one partition of a cluster to another: those that handlers publish under a key or group of another partition.

`children` makes their ids and sends them; `waits` records which handlers of this process wait for one another. Not here: the
partition of a message (`perdure.cluster.routing`), and when a worker sends them (`perdure.actors.workers.gates`).
"""
