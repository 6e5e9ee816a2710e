"""The life of a System: how it starts and stops, and what it stands on while it runs.

- `engine_or_member`: an engine of its own where it owns its store, or a member's connection to the process that does.
- `own_engine`: the engine of a System that owns its store, built and started.
- `inner_system`: what a System offers the other rooms of host/.
- `start_and_stop`: a start and a stop, whichever thread asks for them, and what an interrupt leaves.

Not here: what a host builds a System from (`perdure.system`), the actors (`perdure.runtime.engine`), which role a process takes
(`perdure.processes`).
"""
