"""The rules of what recurs. Pure.

`ticks` says which ticks of a schedule are due and published, `outbox_polling` when an outbox is read again.

Not here: cron expressions and time zones (`host/handling`), and the actors that wait (`actors/services`: `scheduler`, `relay`).
"""
