"""Commands that run something until they are stopped: an application's system, a folder's owner, the console, the demonstration.

`run_command`, `serve_command`, `console_command`, `demo_command`. Not here: what they run (`perdure.runtime.process.serving`,
`perdure.console`, `perdure.demo`).
"""
