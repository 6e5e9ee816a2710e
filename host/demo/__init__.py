"""`perdure demo`: a shop that processes orders, whose process is killed while it works, and a count of the results.

`runner` starts the worker process and prints the result, `child` is that process, `orders` holds its handlers, `tally` counts the
results from the input file, the output file and the log.

Not here: the command itself (`cli/run/demo_command`).
"""
