"""The rules of the queue: which events follow from each command, and how each event changes the state. Pure.

- The data: `state`; messages and the structures that hold them are in `events/structures`.
- Decisions: `decisions` is the entry of `decide`. Its parts are `admission` (publishes), `leasing` and `rates`, `outcomes` (what a
  holder reports), `endings` (held keys and kept results), `replay_and_purge` (of dead letters), `bulk_acts` and `deadlines`
  (which delays have ended, and which messages and leases have run out).
- Folds: `folding`, with the entry of `evolve` in `folding/folds`.
- Dead letters have a fold of their own, `dead_letters`.
- Questions: `lookup` (where a message is), `searching` (which dead letters and live messages are meant), `consumer_reports`
  (whether a report counts) and `invariants` (what must always hold).

Not here: data structures (`structures`), bytes (`codec`), and anything that runs (`actors/queue`).
"""
