"""The rules of recurring messages: which ticks are due, and which of them are published.

Not here: cron expressions and time zones (`host/handling`), and the actor that waits (`actors/services/scheduler`).
"""
