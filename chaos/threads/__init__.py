"""Chaos in a live system with real threads: the monkey, late and repeated messages, times of recovery.

Not here: what a simulation does with the same faults (`simulation`).
"""
