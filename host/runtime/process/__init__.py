"""What a System has to do with the process around it.

- `serving` runs it until a signal; `service_manager` notifies systemd.
- `lifecycle_steps` makes the starts and stops of a System or Cluster. `step_thread` keeps interrupts out of one, `starting_apart`
  lets a coroutine await one.
- `live_systems` stops what the host did not, and knows forks.
- `interpreter_settings` changes settings of the interpreter, and restores them.

Not here: the run of the actors (`engine`).
"""
