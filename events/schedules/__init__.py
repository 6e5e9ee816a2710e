"""The rules of what recurs: which ticks of a schedule are due and published, and when an outbox is read again. Pure.

Not here: cron expressions and time zones (`host/handling`), and the actors that wait (`actors/services`: `scheduler`, `relay`).
"""
