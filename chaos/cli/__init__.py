"""`perdure chaos ...` and `perdure soak`: the tools of this room on the command line.

`commands` is the entry; `simulation_commands` runs scenarios and planted bugs, `fault_commands` kills, damage and power cuts.

Not here: the tools themselves (the other folders).
"""
