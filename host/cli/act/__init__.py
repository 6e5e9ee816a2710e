"""Commands that act on a folder, live or at rest.

`act_commands` has pause, scale, cancel, publish, run-now and their kin; `dead_letters_command` acts on dead letters, one or many,
and `letter_reports` prints them; `bulk_reports` says what bulk acts counted and did. Each goes through the process that owns the
folder, where there is one (`perdure.cli.operated_folder`), and is on record with the person that asked. Commands that only look
are in `look`.
"""
