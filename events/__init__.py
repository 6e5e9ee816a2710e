"""The events of the log, and the pure rules that decide and fold them.

- `vocabulary` has the events, `runs` those of plain messages in columns; `commands` are what actors ask of the rules.
- `queue`, `handlers`, `processes`, `schedules`, `supervision`: the rules. `structures`: the data structures below them. `codec`:
  their bytes.
- `moments` go from one process to another whose clocks differ.
- `limits` are the bounds that rules keep, `commit_size` the room that events take, `errors` what is raised.
- `acts` puts operators on record, `actions` is the table of what rights are about.
- What all rooms share: `seconds` (the validator of lengths of time), `safe_text`, `loggers`, `public_names`, and options that are
  declared once (`keyword_options`, `publish_options`).

No thread, clock, file, random number or log line lives in this room, and it imports no other room.
"""
