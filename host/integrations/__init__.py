"""Integrations: perdure in the frameworks that host it. Each module needs its framework, and nothing else does.

`django` is an app with a command, publishing on commit and an outbox; `flask` an extension; `starlette` a lifespan, for FastAPI
too; `systemd` notifies the service manager when a program is ready. docs/HOSTS.md shows each.

Not here: what any host needs (`perdure.system`), and telemetry (`perdure.telemetry`).
"""
