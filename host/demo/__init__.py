"""`perdure demo`: an order shop whose process is killed while it works, and a count of what came out.

`runner` starts and kills the process, `child` is that process, `orders` its handlers, `tally` judges the result from outside.
"""
