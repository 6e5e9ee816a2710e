"""What threads need of one another: mailboxes, answers to wait for, the actor of a thread, exceptions thrown from one into another.

Not here: what an actor does with them (`actor`), and the thread or simulation that runs it (`executor`).
"""
