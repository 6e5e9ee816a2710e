"""What an operator asks and does: metrics, audit, dead letters, administration.

`admin`, `dead_letters` and `audit` are attributes of a System. `metrics` and `message_state` define their answers. `moments` checks
each time or sequence number in a query. `dropped_history` refuses a query that a shortened log cannot answer. `identities` finds
the message that an event is about.

Not here: how answers are printed (`cli`), and the rules that they follow from (`events`).
"""
