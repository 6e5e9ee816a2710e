"""The steps of a scenario: a table of each kind, with how often it is drawn, how its keywords are drawn, and what it does.

- `actions` are what a host does with its own system, `clients` what other processes ask, and what becomes of these.
- `roles` are members that are more than workers: the next owner, consumers by hand, relays of an outbox that several have.
- `spooling` is a client that publishes while nothing owns the folder, and owners that die as they take that in.
- `faults` are what goes wrong in the owner's process, and `takeovers` what goes wrong while another one takes over.

Not here: what the steps act on (`perdure.chaos.scenarios.system_under_test`), and which are drawn (`perdure.chaos.scenarios.plan`).
"""
