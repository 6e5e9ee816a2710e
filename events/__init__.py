"""The events of the log, and the pure rules that decide and fold them.

- The door: `vocabulary` (events), `commands`, `errors`, `limits`, `runs` (events of plain messages in columns), `commit_size` (the
  room that events take), `seconds` (the validator of lengths of time), `safe_text`, and the names and options that users know.
- `queue`, `handlers`, `schedules`, `supervision`: the rules. `structures`: the data structures below them. `codec`: their bytes.

No thread, clock, file, random number or log line lives in this room, and it imports no other room.
"""
