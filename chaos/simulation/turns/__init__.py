"""One actor of a simulation and its turns.

`scheduled` is the actor with what it waits for; `bystander` is what takes turns beside actors; `fiber` is a turn that may stop in
the middle; `simulated_answer` is one whose wait runs other actors; `traceback_text` shows an error the same way on each machine.

Not here: which actor runs next (`simulated_executor`).
"""
