"""Workers of several runs of one process share the number of calls that may run at once, and stop for a lease that has passed.

`gate` knows which worker may call, `gated_worker` is the worker that asks. A run that is alone in its process has neither.
"""
