"""Rights by action and type, as a session asks for them: which rights a peer's request takes.

`needs` has the table. What they are called is in `perdure.events.actions`, who has them the host says (`perdure.security`).
The three rights by uid that come first (`Options.allowed_uids`) are in `crossing`.
"""
