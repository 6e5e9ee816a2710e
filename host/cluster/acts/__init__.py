"""Acts and questions that go to all partitions of a queue.

`at_once` asks several partitions at the same time, `of_all` is the base of what asks them all, `bulk` has the bulk acts on what an
expression selects. The acts of one partition are in `perdure.operations`, sums over all in `perdure.cluster.sums`.
"""
