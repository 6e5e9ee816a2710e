"""The rules of supervision. Pure.

`restart_policy` says when an actor that died starts again, and when the system gives up; `snapshots` whether a start saves what
it has folded.

Not here: the actor that watches and starts the others (`actors/services/supervisor`).
"""
