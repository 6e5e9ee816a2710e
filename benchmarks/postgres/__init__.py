"""The group `postgres`: perdure with its log in PostgreSQL, beside a queue written by hand and other queues on PostgreSQL.

A load that compares two does so in short turns against one server, so that a slow moment falls on both. `server` starts it.
"""
