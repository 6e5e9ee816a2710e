"""The rules of the queue: which events follow from each command, and how each event changes the state. Pure.

- The data: `state`; messages and the structures that hold them are in `events/structures`.
- Decisions: `decisions` is the entry of `decide`. Its parts are `publishing`, `leasing`, `outcomes` (what a holder reports),
  `endings` (held keys and kept results), `replays` (of dead letters) and `deadlines` (what time brings).
- Folds: `folds` is the entry of `evolve`, with `placement` (keys, groups, slots), `plain_messages`, `retention` (ids of ended
  messages) and `spilling` (payloads on disk).
- Questions: `lookup` (where a message is), `dead_letters` (fold and search), `consumer_reports` (does a report count),
  `publish_groups`, `waiting_order`, and `invariants` (what must always hold).

Not here: data structures (`structures`), bytes (`codec`), and anything that runs (`actors/queue`).
"""
