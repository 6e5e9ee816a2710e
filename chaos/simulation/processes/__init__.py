"""Other processes on the simulated folder: `simulated_process` is one; it may be a client, a member or a deputy.

- `simulated_client`, `simulated_member`, `simulated_deputy`: what a process is.
- `simulated_link`: its connection; `simulated_welcome`: its first owner.
- `simulated_sessions`: the owner's end of all connections; `simulated_server` shows it to an engine.

Not here: which processes there are, and when they die (`chaos/scenarios/processes`).
"""
