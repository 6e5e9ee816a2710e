"""What lies in a data folder. Nothing here writes.

`folder_listing` has names and sizes, `folder_marks` the files that say what a folder is, `folder_conditions` what can be said of it
as a place; `folder_survey` and `segment_survey` find all that is whole and all that is damaged, for `verify`.

Not here: frames one after the other (`folder_reader`).
"""
