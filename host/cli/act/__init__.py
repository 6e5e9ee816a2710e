"""Commands that act on a folder, live or at rest: pause, scale, cancel, publish, run-now and their kin; dead letters, one or many.

Each goes through the process that owns the folder, where there is one (`perdure.cli.operated_folder`), and is on record with the
person that asked. Commands that only look are in `look`.
"""
