"""The command line `perdure`: it parses arguments, calls the library, prints, and sets the exit status.

- `main` defines `stats`, `timeline`, `verify`, `repair` and `demo`, and adds the others: `look` has those that change nothing,
  `act` those that act on messages and handlers, `care` backups and the like, `whole` those on a queue of several partitions;
  `config_command`, `console_command`, `run_command` and `serve_command` are by themselves.
- `panels` groups them in `perdure --help`.
- Which log: `existing_folder` opens one to read, `operated_folder` one to act on. `moments` are those that a person types.
- What is printed: `terminal` is the only console, `json_output` is for programs, `progress` shows how far long work is,
  `exit_codes` is their table, `completing` helps the shell.

Not here: what the commands do (`operations`, `store/maintenance`), and the commands `perdure chaos` and `perdure soak`
(`chaos/cli`).
"""
