"""Searching: which dead letters and which live messages are meant, by conditions or by an expression. Pure.

`expression` is the language; `letter_search` and `live_messages` are what it selects from, in pieces where there are many;
`plain_payloads` is how a payload is looked into, and edited.

Not here: how a look is cut into pieces (`structures`), and what is done to what was found (`bulk_acts`, `replay_and_purge`).
"""
