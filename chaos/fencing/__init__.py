"""The fencing of a log in PostgreSQL as a small model: owners, a database, and all that may happen between them, from a seed.

`database` carries out transactions step by step, with the locks of `store/postgres/sql/functions.sql`; `owner` claims, appends and
settles as `store/postgres/partition_writer.py` does; `random_histories` mixes their steps, and judges what is left. Rules can be
left out: each must then be missed. Not here: the real database, which `tests/store/test_postgres_crashes.py` has.
"""
