"""How it is broken, on purpose: tools that a user can turn on their own system.

Nothing else imports this room.
"""
