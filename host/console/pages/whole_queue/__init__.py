"""Pages of all partitions of a queue together.

- `whole_page` reads the partitions one after the other; what cannot be read is told.
- `whole_overview` has the sums, `whole_types` those of types and one type; `whole_lists` messages, dead letters and acts: what is
  looked for in all of them at once; `whole_inside` schedules, processes and actors.
- `whole_bulk` has the forms of bulk acts, with what each partition has counted.

Not here: pages of one partition (`perdure.console.pages`), the addresses (`perdure.console.whole_console`), and the acts
(`perdure.console.whole_acts`).
"""
