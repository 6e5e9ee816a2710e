"""Acts and questions that go to all partitions of a queue.

`at_once` asks several of them at the same time, `of_all` is what has them asked, `bulk` has what an expression means. What one
partition does is in `perdure.operations`; what is added up in `perdure.cluster.sums`.
"""
