"""Searching: which dead letters and live messages are selected, by conditions or by an expression. Pure.

`expression` is the language. `letter_search` and `live_messages` apply it to dead letters and to live messages, in pieces where
there are many. `plain_payloads` reads and edits payloads.

Not here: how a search is cut into pieces (`structures`), and what is done to what was found (`bulk_acts`, `replay_and_purge`).
"""
