"""Export of a log's events to files of other programs: JSON Lines, CSV, Parquet and CloudEvents.

- `rows`: an event as plain values. `selection`: which events are meant. `writers`: the formats, one class each.
- `export`: reads the log piece by piece, writes beside the output, and gives it its name once it is whole.

Not here: backups, which hold the log itself (`perdure.store.backup`).
"""
