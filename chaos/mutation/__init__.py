"""Planted bugs: edits of perdure's own source that a tool of this room must notice.

`bugs` lists them, `mutants` runs them, `planted` is the process in which one is planted.
"""
