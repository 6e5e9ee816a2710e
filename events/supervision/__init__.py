"""The rules of supervision: when an actor that died starts again, and when the system gives up. Pure.

Not here: the actor that watches and starts the others (`actors/services/supervisor`).
"""
