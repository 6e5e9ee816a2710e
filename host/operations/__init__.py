"""What an operator asks and does: metrics, audit, dead letters, administration.

`admin`, `dead_letters` and `audit` are attributes of a System; `metrics` and `message_state` are their answers; `moments` checks
each time or sequence number that a query names; `dropped_history` refuses what a shortened log cannot answer.

Not here: how they are printed (`cli`), and what the answers follow from (`events`).
"""
