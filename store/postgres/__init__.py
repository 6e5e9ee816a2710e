"""A log in PostgreSQL: tables of their own schema, one owner at a time by a lease, and readers beside it.

`postgres_store` is the owner's `EventStore` on top of `partition_writer` and `partition_owner`, `postgres_reader` the `LogReader`,
`postgres_copy` the `LogTarget`. Below them: `ownership` (claiming and keeping a partition), `partition_reader`,
`partition_snapshots`, `schema` (tables and functions; the scripts lie in `sql`), `connecting` (connections, addresses and
sessions).

`history_hold` keeps history while it is copied, `high_water` remembers what was durable, `nodes` are those of a cluster, `traffic`
is what other processes send to an owner, `spread_ingress` a publish that goes to several.

Importing a module of this folder needs psycopg, which `pip install perdure[postgres]` installs; `addresses` imports them when an
address asks for it. Layout of the tables: docs/FORMATS.md.
"""
