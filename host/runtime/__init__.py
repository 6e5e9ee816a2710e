"""One run of a system in this process: start, recovery report, serving until a signal, stop.

`engine` builds the actors and stops them, with `actor_shutdown`, `final_snapshot` and `interpreter_settings` as parts.
`current_run` is how the front door reaches the actors, `serving` waits for a signal, `live_systems` knows every System of this
process, `asking` is what a system and a connection to one have in common, `sharing` lets other processes in, `step_thread`
protects a start or a stop from an interrupt, `hook_mark` finds a call inside a hook.

Not here: what an actor does (`actors`), and when an actor is restarted (`actors/services`).
"""
