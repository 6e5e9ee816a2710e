"""What a System has to do with the process around it.

`serving` runs it until a signal, `live_systems` stops what the host did not and knows forks, `interpreter_settings` changes and
restores settings, `service_manager` tells systemd, `step_thread` keeps interrupts out of a start or stop, `starting_apart` lets a
coroutine await one.

Not here: the run of the actors (`engine`).
"""
