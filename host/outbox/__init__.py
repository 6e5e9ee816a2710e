"""The outbox: messages that are written in the host's own SQL transaction and relayed to the queue after it committed.

`sql_outbox` has the table and its statements. Not here: the actor that relays the rows (`actors/services/relay`).
"""
