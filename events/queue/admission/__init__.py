"""The rules of accepting publishes.

`publishing` decides about drafts: numbers, keys, bounds. `publish_groups` says which publishes are decided together,
`waiting_order` in which order publishes wait for room in the backlog, `spooled` what follows from what was spooled.

Not here: the actor that receives publishes and answers them (`actors/queue`).
"""
