"""The command line `perdure`: it parses arguments, calls the library, prints, and sets the exit status.

`main` defines most commands; `config_command` and `dead_letters_command` define the rest. `folder_report` makes tables, `progress`
shows how far long work is, `terminal` is the only console.

Not here: what the commands do (`operations`, `store/maintenance`), and the commands `perdure chaos` and `perdure soak`
(`chaos/cli`).
"""
