"""One run of a system in this process: start, recovery report, serving until a signal, stop.

- `engine` builds the actors; `ending` stops them, with `actor_shutdown` and `final_snapshot` as parts; `recovery_report` is what a
  start found. `registering` puts handlers on record.
- `current_run` is how the front door reaches the actors; `run` and `asking` are what an engine and a connection to one share.
- `sharing` lets other processes in, `database` those that come through a database. `spool_intake` and `spool_source` take in what
  was spooled.
- `process` has to do with the process around them, `hook_mark` with hooks of the host.

Not here: what an actor does (`actors`), and when an actor is restarted (`actors/services`).
"""
