"""The command line `perdure`: it parses arguments, calls the library, prints, and sets the exit status.

- `main` is the table of all commands: `look` has those that change nothing, `act` those that act on messages and handlers, `care`
  backups, checks and the like, `run` those that run until they are stopped; `whole` spreads a command over a queue's
  partitions.
- `panels` groups them in `perdure --help`.
- Which log: `existing_folder` opens one to read, `operated_folder` one to act on. `typed_moments` are those that a person types.
- What is printed: `terminal` is the only console, `named_rows` are lists for wide and narrow ones, `json_output` is for
  programs, `progress` shows how far long work is, `interrupts` has the signals that end it,
  `exit_codes` is their table, `completing` helps the shell.

Not here: what the commands do (`operations`, `store/maintenance`), and the commands `perdure chaos` and `perdure soak`
(`chaos/cli`).
"""
