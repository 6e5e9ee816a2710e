"""What a durable message costs: loads, the floors they are set against, and peers, measured in one run on one machine.

`python -m benchmarks` runs all of it, `python -m benchmarks GROUP` a part; docs/PERFORMANCE.md tells what each figure means.
"""
