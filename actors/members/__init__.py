"""The handlers of a process that does not own its folder: their dispatcher, their workers, and their frames to and from the owner.

`held_handlers` is what a member holds, `member_dispatcher` keeps workers and subscriptions in line with what the owner says
(`owner_words`), `member_roles` says how the actors of a member are built.

Not here: the owner's side (`sessions/member_work`), the socket (`perdure.processes`), and workers themselves (`workers`).
"""
