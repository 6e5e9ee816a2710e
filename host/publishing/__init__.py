"""From a message object to an acknowledged id: what `publish`, `submit` and `call` do in the caller's thread.

`publisher` has the public methods, `drafts` checks every option, `stored_payloads` decodes what was published, `message_ids` makes
ids, `publish_future` is the future of a `submit`, `results` waits for what a handler returned, `message_state` is where a
message is now, `confirming` what a publish waits for, `given_message` reads what a person wrote as JSON, and
`inner_calls` is what other rooms of host/ may call.

Not here: how an object becomes bytes (`payloads`), and whether the queue accepts a message (`events/queue/admission/publishing`).
"""
