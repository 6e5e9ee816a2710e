"""Connections to a database: its address, pools and sessions, and what its settings mean for durability.

Not here: the tables (`schema`), and what is kept in them (`partition_reader`, `partition_writer`).
"""
