"""Commands that keep a log safe and take it elsewhere.

`backup_commands`, `export_command`, `migrate_command`; `verify_command`, `repair_command`; `doctor_command` looks at the place of a
log, `schedules_command` at what ticks, `accept_command` lets a log go on that holds less than was known, `discard_command`
throws away unfinished copies.

Not here: the work itself (`perdure.store.backup`, `perdure.operations`).
"""
