"""What threads need of one another.

`mailbox` is emptied in one go, `answer` is what a thread waits for, `current_actor` the actor of a thread and what it may wait for.
`async_exceptions` raises an exception in another thread, and `thread_start` starts one from an actor's.

Not here: a thread whose failed start is seen (`perdure.store.disk.background_thread`), what an actor does with them (`actor`), and
the thread or simulation that runs it (`executor`).
"""
