"""Commands that look and change nothing; and what they print.

- `status`: one screen, drawn anew.
- `stats_command`, `timeline_command`, `config_command`.
- `look_commands`: `explain`, `state`, `diff`, `search`, and `tail` with its `tail_filter`, of all partitions by
  `follow_all`. `acts_command`: what operators did.
- `folder_report`: the tables of `stats`, `timeline` and `repair`.

They read the log beside a live system, and take no lock. What they print comes from `perdure.Audit` and `perdure.operations`; with
`--json` it is for programs (`perdure.cli.json_output`). Commands that change something are in `act`, those about whole folders in
`care`.
"""
