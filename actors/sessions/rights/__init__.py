"""Rights by action and type, as a session asks for them: which rights a peer's request takes, and whether the peer has them.

`needs` has the table of requests, `peer_rights` asks for one peer. Actions have their names in `perdure.events.actions`; the host
decides which principal has a right (`perdure.security`). The three rights by uid that come first (`Options.allowed_uids`) are in
`crossing`.
"""
