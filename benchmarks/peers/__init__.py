"""Other durable queues on the same machine, in the same rounds, each in its most durable usual setting.

Each queue is a module; `loads` lists them, `trip` is the trip that all make, `started` runs their servers and workers.
"""
