"""What must hold, judged from outside: reference model, contract of the store, logs of what publishers and handlers saw.

`checker` brings them together. Nothing here breaks anything.
"""
