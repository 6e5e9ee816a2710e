"""Planted bugs in what a queue in PostgreSQL adds: marks of high water, children across partitions, gathering, and gates.

Each is judged by a test file without a server. What a real one must show is in tests/host/cluster.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["CLUSTER_BUGS"]

_HIGH_WATER = "perdure.store.postgres.high_water"
_MARKS = "tests/store/test_high_water.py"
_CHILDREN = "tests/host/cluster/test_children_away.py"
_GATHERING = "tests/actors/journal/test_gathering.py"
_GATES = "tests/actors/workers/test_gates.py"

CLUSTER_BUGS: tuple[Bug, ...] = (
    Bug(
        "an owner goes on in a log that ends before what was durable",
        "high-water marks",
        _MARKS,
        0,
        (Edit("perdure.store.postgres.partition_owner", "if mark is not None and ends_at < mark.seq:", "if mark is None:"),),
    ),
    Bug(
        "the mark of another log in the same place counts",
        "high-water marks",
        _MARKS,
        0,
        (Edit(_HIGH_WATER, "store_id in (None, mark.store_id) else None", "store_id != b'' else None"),),
    ),
    Bug(
        "a mark falls to what was noted last",
        "high-water marks",
        _MARKS,
        0,
        (Edit(_HIGH_WATER, "elif seq > mark.seq:", "elif seq != mark.seq:"),),
    ),
    Bug(
        "a process that knew more forgets that a loss was accepted",
        "high-water marks",
        _MARKS,
        0,
        (Edit(_HIGH_WATER, "own.order < mark.order:", "own.seq < mark.seq:"),),
    ),
    Bug(
        "marks that a failover has lost are not written again",
        "high-water marks",
        _MARKS,
        0,
        (
            Edit(
                _HIGH_WATER,
                "seen[number] = mark\n",
                "seen[number] = max(mark, seen.get(number, mark), key=lambda one: one.order)\n",
            ),
        ),
    ),
    Bug(
        "two messages of one type and key for another partition are one",
        "children",
        _CHILDREN,
        0,
        (Edit("perdure.cluster.across.children", "(parent, str(n), type_name, label)", "(parent, type_name, label)"),),
    ),
    Bug(
        "a message of a group goes to the partition of its key",
        "children",
        _CHILDREN,
        0,
        (
            Edit(
                "perdure.cluster.across.children",
                '        label = options.get("group")\n        label = options.get("key") if label is None else label\n',
                '        label = options.get("key")\n',
            ),
        ),
    ),
    Bug(
        "an attempt is completed although its messages for other partitions are not there",
        "children",
        _CHILDREN,
        0,
        (
            Edit(
                "perdure.actors.workers.gates.gated_worker",
                "            return self.failures.failure(self.pool, delivery, error)\n",
                "            del error\n",
            ),
        ),
    ),
    Bug(
        "a lost attempt publishes for other partitions",
        "children",
        _CHILDREN,
        0,
        (Edit("perdure.actors.workers.gates.gated_worker", "if not away or delivery.lost:", "if not away:"),),
    ),
    Bug(
        "what went to another partition is published in its parent's too",
        "children",
        _CHILDREN,
        0,
        (Edit("perdure.actors.workers.gates.gated_worker", "if id(draft) not in gone)", "if gone)"),),
    ),
    Bug(
        "publishers that took turns in two halves go on so",
        "gathering",
        _GATHERING,
        0,
        (Edit("perdure.actors.journal.gathering", "self._answered + (waiting if self._is_joined else 0)", "self._answered"),),
    ),
    Bug(
        "a frame waits on for publishers that do not come back",
        "gathering",
        _GATHERING,
        0,
        (Edit("perdure.actors.journal.gathering", "max(0.0, self._until_s - now_s)", "SHARE * self._took_s"),),
    ),
    Bug(
        "a single publisher waits for others",
        "gathering",
        _GATHERING,
        0,
        (Edit("perdure.actors.journal.gathering", "if waiting >= self._expected else", "if waiting > self._expected else"),),
    ),
    Bug(
        "a publish waits for the lease of the one before it",
        "gathering",
        _GATHERING,
        0,
        (Edit("perdure.actors.journal.gathering", "self._bookkeeping_took_s >= SLOW_S", "False"),),
    ),
    Bug(
        "a worker that was killed inside keeps its place after the end of its run",
        "gates",
        _GATES,
        0,
        (
            Edit(
                "perdure.actors.workers.gates.gate",
                "return worker.thread is not None and not worker.thread.is_alive()",
                "return False",
            ),
        ),
        found=True,
    ),
)
