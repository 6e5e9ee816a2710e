"""The rules about the processes that share one folder or one partition. Pure.

`signs_of_life` says for how long a process counts as heard; `relayers` says which process relays an outbox that several have;
`log_reading` says how long an owner that reads its log is waited for.

Not here: which process gets a delivery (`events/handlers/sharing`), which one owns a folder (`perdure.processes.role_rules`), and
the sessions that apply these rules (`actors/sessions`).
"""
