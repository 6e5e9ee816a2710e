"""Requests from outside and their answers: kept until answered, sent again after any death, counted once.

`pending` holds each `request`, `room_waiters` wait until fewer are under way, `submit_batch` gathers what one thread submits,
`answers` are the effects that answer, `result_waiters` serves callers that wait for results, `raised_errors` keeps exceptions of
this process for them. `looks` answers in pieces what would take an actor too long at once.

Not here: what a request means; its receiver decides that (`queue`, `workers`).
"""
