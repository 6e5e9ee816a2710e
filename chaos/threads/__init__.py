"""Faults in a live system with real threads.

`monkey` kills actors, `interference` delays and repeats messages and stalls handlers, `recovery_times` measures successors.

Not here: the same faults in virtual time (`scenarios`), and kills of whole processes (`processes`).
"""
