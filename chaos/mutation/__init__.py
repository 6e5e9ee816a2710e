"""Planted bugs: edits of perdure's own source, each of which a tool of this room must notice.

`bug` says what one is. `bugs` lists them all; they are in `event_bugs`, `actor_bugs`, `store_bugs`, `host_bugs`, and by subject in
`client_bugs`, `member_bugs`, `spool_bugs`, `cluster_bugs` and `operator_bugs`. `mutants` runs them one at a time, `planted` is the
process that contains one, and `tools` is what runs in it.

Not here: the simulation and the crash states themselves (`simulation`, `disk`).
"""
