"""The log as the console reads it: what is true now, what was true at a past moment, and bounded looks into history.

`live` follows the log a little at a time, `index` counts all of it once, in `buckets`, for charts and for finding moments and
messages. `past` folds past moments and keeps a few; `pace` notes how far such a fold is, for the page that waits for it.
`log_search` and `story` look for messages within a budget of time (`walk`) and say where to go on. `listing` has messages by
where they are, `groups` dead letters by what they died of. Nothing here takes a lock of the log or writes to it. Not here: what a
page shows (`perdure.console.pages`).
"""
