"""`perdure chaos ...` and `perdure soak`: the tools of this room on the command line.

Not here: what they do (the other folders).
"""
