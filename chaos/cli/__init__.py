"""`perdure chaos ...` and `perdure soak`: the tools of this room on the command line.

Not here: the tools themselves (the other folders).
"""
