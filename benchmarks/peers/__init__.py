"""Other durable queues on the same machine, in the same rounds, each in its most durable usual setting.

- `peer_loads` lists them, `trip` is the trip that all make, `started` runs their servers and workers.
- A module each: `celery_redis`, `dbos_sqlite`, `dramatiq_redis`, `huey_sqlite`, `nats_jetstream`, `persist_queue`, `redis_streams`;
  and `own_sqlite`, what a user could write instead. `apps` is what workers of some of them import.
"""
