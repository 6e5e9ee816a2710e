"""The life of one run in this process: start, recovery report, serving until a signal, stop.

`engine` builds the actors and takes them down, `current_run` is how the front door reaches them, `serving` waits for a signal,
`live_systems` knows every System of this process, `step_thread` shields a start or a stop from an interrupt, `hook_mark` shows that
a start or stop hook runs.

Not here: what an actor does (`actors`), and which actor is restarted when (`actors/services`).
"""
