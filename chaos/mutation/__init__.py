"""Planted bugs: edits of perdure's own source, each of which a tool of this room must notice.

`bug` says what one is; `bugs/` has them all. `mutants` plants them one at a time, each in a process that `planted` is, and `tools`
is what runs there and must notice it.

Not here: the simulation and the crash states themselves (`simulation`, `disk`).
"""
