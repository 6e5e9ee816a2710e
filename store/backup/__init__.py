"""Backups of a log: a folder that takes what is new, run after run, and gives a log back as it was at a moment.

- `folder`: writes segments, snapshots and `backup.json`, so that a run that is cut off leaves what earlier runs completed.
- `state`: what `backup.json` says. `reader`: reads a backup as any other log, up to where its last complete run ended.
- `backing_up` copies from any log that can be read; `restoring` writes a new log into any place that takes one,
  `restoring_queue` those of a whole queue.

Not here: copies of a whole log in one go (`maintenance/migrate`), and what is left of a damaged one (`maintenance/repair`).
"""
