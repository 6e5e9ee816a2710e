"""What every actor is made of: the actor class, its mailbox, clock, executor, messages, and the runtime they share.

`actor` wraps Pykka, `decider` is an actor whose state is a fold of the log, `messages` are what actors tell each other, `runtime`
is the ground that all share.

Not here: any particular actor, and any rule about messages (`events`).
"""
