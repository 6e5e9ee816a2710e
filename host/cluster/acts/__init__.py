"""Acts and questions that go to all partitions of a queue: `of_all` asks one after the other, `bulk` has what an expression means.

What one partition does is in `perdure.operations`; what is added up in `perdure.cluster.sums`.
"""
