"""The loads of perdure, a module for each group, and the floors beside them.

Not here: the loads of other queues (`peers`), and how loads are run (`rounds`).
"""
