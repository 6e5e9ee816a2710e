"""Planted bugs: edits of perdure's own source, each of which a tool of this room must notice.

`bugs` lists them (`actor_bugs`, `event_bugs`, `store_bugs`), `mutants` runs them one at a time, `planted` is the process that
contains one, and `tools` is what runs in it.

Not here: the simulation and the crash states themselves (`simulation`, `disk`).
"""
