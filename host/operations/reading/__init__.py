"""Answers from the log alone: what happened to a message, what it waits for, who did what, which messages an expression means.

Nothing here changes anything, or needs a running system.

Not here: the front of it (`audit`), and what acts (`admin`, `dead_letters`).
"""
