"""What every actor is made of: the actor class, its mailbox, clock, executor and messages, and what outlives single actors.

`actor` wraps Pykka, `directory` finds actors by name, `messages` are what actors tell each other, `threads` is what threads share,
`health` counts deaths, `extensions` are the host's schedules and outboxes.

Not here: any particular actor, the log (`journal`), requests (`requests`), and any rule about messages (`events`).
"""
