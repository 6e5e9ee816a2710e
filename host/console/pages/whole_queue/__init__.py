"""Pages of all partitions of a queue together.

- `whole_page` reads the partitions one after the other; what cannot be read is told.
- `whole_overview` has the sums, `whole_lists` messages, dead letters and acts: what is looked for in all of them at once.

Not here: pages of one partition (`perdure.console.pages`), and the addresses (`perdure.console.whole_console`).
"""
