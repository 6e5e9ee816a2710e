"""The processes of a scenario that do not own the folder, and what is judged of them beside the history.

- `other_processes` has those that are there: clients, `members`, a deputy, and their connections.
- `holdings` judges what is taken back from any; `spools` has the files of those that spool, and what must come of these.

Not here: the owner's process (`system_under_test`), a member that becomes the owner (`promotion`), the steps (`steps`).
"""
