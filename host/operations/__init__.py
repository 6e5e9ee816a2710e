"""What an operator asks and does: metrics, audit, dead letters, administration, backups.

- `admin`, `dead_letters` (with `bulk` acts; `dead_letter` is what one is) and `audit` are attributes of a System;
  `running_system` is what they need of it. `asked_audit` is an `audit` that asks for rights.
- `metrics` defines the counts that they return, `watch` compares two looks, `listed_schedules` lists what ticks when.
- `reading` has the answers that the log alone gives. `exporting` writes events as files of other programs.
- `backups` copies and restores a log, or those of a queue (`queue_logs`); `sources` finds the one to read; `doctor` looks at the
  place where it is kept.

Not here: how answers are printed (`cli`), the rules that they follow from (`events`), and checks of arguments (`arguments`).
"""
