"""The command line `perdure`: parse, call the library, print, exit truthfully.

`main` has the commands, `config_command` and `dead_letters_command` the larger ones; `folder_report` makes tables, `progress` shows
long work, `terminal` is the only console.

Not here: what the commands do (`operations`, `store/maintenance`), and `perdure chaos` (`chaos/cli`).
"""
