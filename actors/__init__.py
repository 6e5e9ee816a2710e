"""The actors: threads with mailboxes, each a thin shell round the pure rules of `perdure.events`.

Each folder imports only those below it (a contract in pyproject.toml says so):

- `members`: the actors of a process whose handlers another process's queue feeds. `sessions`: the owner's side of other processes.
- `services`: supervisor, timer, scheduler and the like, and `runtime`, which has all parts of a run.
- `queue`: the decider about messages. `workers`: handlers at work.
- `execution`: how a handler is called. `journal`: the owner of the log.
- `requests`: what waits for an answer. `core`: what every actor is made of.

An actor takes only the parts of a run that it uses.

Not here: what happened and what may happen (`events`), files (`store`), the front door (`host`).
"""
