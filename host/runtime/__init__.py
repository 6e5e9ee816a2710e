"""One run of a system in this process: start, recovery report, serving until a signal, stop.

`engine` builds the actors and stops them, with `actor_shutdown` and `final_snapshot` as parts. `current_run` is how the front door
reaches the actors, `asking` is what a system and a connection to one have in common, `sharing` lets other processes in, `process`
has to do with the process around them, `hook_mark` finds a call inside a hook.

Not here: what an actor does (`actors`), and when an actor is restarted (`actors/services`).
"""
