"""What lies in a data folder: names of files, marks, conditions, and a survey of segments and snapshots for `verify`.

Nothing here writes. Not here: frames one after the other (`folder_reader`).
"""
