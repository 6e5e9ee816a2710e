"""Other processes on one folder, or on a queue in a database: `perdure.connect` and shared Systems.

- `client` has what a user calls; `connected` is what it stands on.
- `to_owner` is the connection to an owner and what passes on it; `ways` are how it is reached. `owner_facts` is what a
  process takes over from it.
- `roles` takes the lock or connects, by the table of `role_rules`; `hand_over_reply` gets the owner's answer to a request to hand
  over; `noted_folder` checks that the folder is still the same.
- `member` is a shared System that does not own the folder, `deputy` keeps what it needs to take over, `member_outboxes` knows which
  outboxes it relays.

Not here: the owner's end of the connection (`perdure.actors.sessions`), and what a publish or a result is (`publishing`).
"""
