"""Checks of single arguments that a host or an operator passes, wherever the front door takes them.

`moments` reads points in time, sequence numbers and ids; `choices` whole numbers, truth values and words; `labels` keys and other
names; `parts` the objects that a system is made of; `acting` has who acts, and why.

Not here: lengths of time (`perdure.events.seconds`), the options of a publish (`publishing/drafts`) and of a handler (`handling`).
"""
