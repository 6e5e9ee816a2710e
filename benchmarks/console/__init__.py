"""The group `console`: how long its pages take beside a big queue, and what an open page costs the trip of messages.

`loads` lists the loads. `big_queue` makes the folder whose pages are measured; `browser` is an open page, in a process of its own.
"""
