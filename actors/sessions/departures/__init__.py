"""Peers whose connection has ended: `departed` finds out whether the process is gone, or only its connection.

What it had in hand as a worker is settled at once (`actors/sessions/member_work`); what it checked out by hand, once it is gone.
"""
