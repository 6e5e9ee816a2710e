"""Recurring messages: `schedules` says when the next tick is due and what it publishes, `zones` finds a time zone.

Not here: which ticks that came due are made up for (`events/schedules/ticks`), and the decorator `every` (`declaring`).
"""
