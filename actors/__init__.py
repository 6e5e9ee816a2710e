"""The actors: threads with mailboxes, each a thin shell round the pure rules of `perdure.events`.

Each folder imports only those below it (a contract in pyproject.toml says so): `services` (supervisor, timer and the like), `queue`
(the decider about messages), `workers` (handlers at work), `execution` (how a handler is called) beside `journal` (the owner of the
log), `requests` (what waits for an answer), `core` (what every actor is made of). An actor takes the parts of a run that it uses;
`services/runtime.py` has them all.

Not here: what happened and what may happen (`events`), files (`store`), the front door (`host`).
"""
