"""The outbox: messages that the host writes in its own SQL transaction, relayed to the queue after the commit.

`sql_outbox` has the table and its statements, `draft_rows` what a row holds, `dialect` what runs statements on each kind of
connection. Not here: the actor that relays the rows (`actors/services/relay`), and which process does
(`events/processes/relayers`).
"""
