"""A run whose log is in a database, towards processes on other hosts: what they publish, and what they ask.

`ingress_source` takes in what they publish, `channel_server` connects them with the sessions' server, as a socket does in a folder.
`routing_name` names the rules that spread messages over partitions. Not here: rows and hints (`perdure.store.postgres.traffic`),
and the other end (`perdure.processes.ways`).
"""
