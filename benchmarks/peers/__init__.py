"""Other durable queues on the same machine, in the same rounds, each in its most durable usual setting.

- `peer_loads` lists them, `trip` is the trip that all make, `started` runs their servers and workers.
- A module each: `celery_redis` (with `celery_app`), `dbos_sqlite`, `dramatiq_redis` (with `dramatiq_app`), `huey_sqlite` (with
  `huey_app`), `nats_jetstream`, `persist_queue`, `redis_streams`; and `own_sqlite`, what a user could write instead.
"""
