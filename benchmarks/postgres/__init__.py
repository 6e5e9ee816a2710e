"""The group `postgres`: perdure with its log in PostgreSQL, beside a queue written by hand and other queues on PostgreSQL.

A load that compares two does so in short turns against one server, so that a slow moment falls on both. `server` starts it.

`database_loads` lists the loads. `sides` are perdure and `skip_locked`, the queue written by hand; `ingress` has loads across
processes, `slow_line` those over a line that takes its time, `lasting` what a log costs while it lasts, `peers` other queues,
with `pgqueuer_app` and `procrastinate_app` as their workers.
"""
