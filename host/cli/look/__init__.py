"""Commands that look and change nothing: `status`, `explain`, `state`, `diff`, `search`, `tail`, `acts`; and what they print.

They read the log beside a live system, and take no lock. What they print comes from `perdure.Audit` and `perdure.operations`; with
`--json` it is for programs (`perdure.cli.json_output`). Commands that change something are in `act`, those about whole folders in
`keep`.
"""
