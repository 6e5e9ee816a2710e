"""The handlers of a peer: `member_session` is what the owner does for its workers, `member_outcomes` takes what they report.

`begin_marks` says which attempts they have begun, also once the process is gone.

Not here: how deliveries and outcomes look in a frame (`framing/delivered`), which delivery goes to which process
(`perdure.events.handlers.sharing`), and the other end (`perdure.actors.members`).
"""
