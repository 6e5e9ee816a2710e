"""Connections to a database, and what its settings mean for durability.

`postgres_address` names a log in it, `database` has the connections, `session` the one that writes, `server_conditions` examines
the server's settings, `own_session` finds out whether a pooler lies between.

Not here: the tables (`schema`), and what is kept in them (`partition_reader`, `partition_writer`).
"""
