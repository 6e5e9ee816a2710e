"""The rules of the queue: what follows from each command, and how each event changes the state. Pure.

`state` and `message` are the data. `decisions` is the entry of `decide`, with `publishing`, `outcomes` and `endings` as its
parts; `folds` is the entry of `evolve`, with `placement`, `plain_messages` and `retention`. `lookup` answers where a message
is, `dead_letters` is the fold and search of dead letters, `invariants` says what must always hold.

Not here: data structures (`structures`), bytes (`codec`), and anything that runs (`actors/queue`).
"""
