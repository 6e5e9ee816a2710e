"""What an operator asks and does: metrics, audit, dead letters, administration.

`admin`, `dead_letters` and `audit` are attributes of a System. `metrics` defines the counts that they return. `dropped_history`
refuses a query that a shortened log cannot answer. `identities` finds the message that an event is about. `running_system` is the
protocol that they need of a System.

Not here: how answers are printed (`cli`), the rules that they follow from (`events`), and checks of arguments (`arguments`).
"""
