"""What an operator asks and does: metrics, audit, dead letters, administration.

`admin`, `dead_letters` and `audit` are attributes of a System. `metrics` defines the counts that they return. `reading`
has the answers that the log alone gives. `running_system` is the
protocol that they need of a System.

Not here: how answers are printed (`cli`), the rules that they follow from (`events`), and checks of arguments (`arguments`).
"""
