"""From a message object to an acknowledged id: what `publish` and its kin do in the caller's thread.

`publisher` has the public methods, `drafts` checks every option, `message_ids` makes ids, `publish_future` is the future of a
`submit`, and `results` waits for what a handler returned.

Not here: how an object becomes bytes (`payloads`), and whether the queue accepts a message (`events/queue/publishing`).
"""
