"""The options of a handler: `handler_options` declares each once, with its type and default; `option_checks` checks single ones.

Not here: what a worker makes of them (`actors/workers/handler_spec`), and the decorators that take them (`declaring`).
"""
