"""The one thread of a cluster's node: it renews the node and all of its leases, looks at the others, and carries out the plan.

The plan is a pure rule (`balance`). Partitions are opened and closed in other threads (`hosted`), so no renewal waits for that.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from perdure.cluster.owning.balance import Seen, plan
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from perdure.cluster.owning.hosted import Hosting
    from perdure.store.postgres.nodes import Held, NodeSession, View

__all__ = ["Keeper", "node_of"]

logger = GuardedLogger("perdure")

LOOK_S = 1.0
"""Seconds between looks while nothing happens. Nodes notify one another of starts and releases, so this is for nodes that die."""
SILENCE_S = 1.0
"""Seconds without a connection to the database after which a node counts as dead."""
RETRY_S = 0.5
SLACK_S = 0.02
RENEWALS = 3
"""How many times a lease is renewed within its duration."""


def node_of(owner: str) -> str:
    """Return the node of the owner of a lease."""
    return owner.rpartition(":")[0]


class Keeper:
    """Keeps one node in the cluster. `start` and `end` are for one thread at a time.

    Args:
        session: the node's connection to the database.
        hosting: the partitions that run in this process.
        partitions: how many the queue has.
    """

    def __init__(self, session: NodeSession, hosting: Hosting, partitions: int) -> None:
        self._session = session
        self._hosting = hosting
        self._partitions = partitions
        self._silent_since: dict[str, float] = {}
        self._there: set[int] = set()
        """The partitions whose logs the database has held, without unfinished copies; empty until the first look."""
        self._missing: set[int] = set()
        self._renew_at_s = 0.0
        self._is_leaving = self._has_ended = self._is_begun = False
        self._left = threading.Event()
        self._looked = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._thread = EnduringThread(self._run, "perdure-node")
        self.view: View | None = None
        """What the last look at the database showed."""
        self.failure: PerdureError | None = None
        """Why the last look at the database failed; None if it succeeded."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait_for_plan(self, seconds: float) -> bool:
        """Wait until the thread has looked once and acted, for so many seconds at most; return whether it has."""
        return self._looked.wait(seconds)

    def wake(self) -> None:
        """Wake the thread, so that it looks now. May be called in any thread."""
        with contextlib.suppress(OSError):
            os.write(self._write, b"\0")

    def leave(self, seconds: float) -> None:
        """Announce to the other nodes that this one leaves; its leases are kept until `end`."""
        self._is_leaving = True
        self.wake()
        self._left.wait(seconds)

    def end(self, seconds: float) -> None:
        """End the thread and the connection; wait for so many seconds at most."""
        self._has_ended = True
        self.wake()
        if self._thread.ident is not None:  # None: it could not be started
            self._thread.join(seconds)

    def _run(self) -> None:
        if self._is_begun:
            self._session.close()  # an exception interrupted it, perhaps in the middle of an answer
        self._is_begun = True
        while not self._has_ended:
            self._session.wait(self._turn(), self._read)
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        self._session.leave()
        self._session.close()
        ends, self._read, self._write = (self._read, self._write), -1, -1
        for fd in ends:
            if fd >= 0:
                os.close(fd)

    def _turn(self) -> float:
        """Look and act; return how long to wait before the next look."""
        if self._is_leaving and not self._left.is_set():
            self._session.leave()
            self._left.set()
        try:
            return self._look()
        except PerdureError as error:
            if self.failure is None:
                logger.warning("the database of the cluster does not answer, it is asked again: %s", error)
            self.failure = error
        except Exception:
            logger.exception("a turn of the cluster's thread failed; it goes on")
        self._hosting.look()
        return RETRY_S

    def _look(self) -> float:
        now_s = time.monotonic()
        keeps = now_s >= self._renew_at_s
        if keeps:
            self._hosting.note_high_water()
        view = self.view = self._session.look(keep=keeps)
        if keeps:
            self._renew_at_s = now_s + self._session.leases.seconds / RENEWALS
        if self.failure is not None:
            logger.info("the database of the cluster answers again")
            self.failure = None
        self._hosting.look()
        if not self._is_leaving:
            self._act(view, now_s)
        self._looked.set()
        soonest_s = min((one.left_s for one in view.partitions if one.left_s > 0 and not self._is_mine(one)), default=LOOK_S)
        left_s = (since_s + SILENCE_S - now_s for since_s in self._silent_since.values())
        silent_s = min((seconds for seconds in left_s if seconds > 0), default=LOOK_S)
        return min(LOOK_S, soonest_s + SLACK_S, silent_s + SLACK_S, max(0.0, self._renew_at_s - time.monotonic()))

    def _is_mine(self, held: Held) -> bool:
        return node_of(held.owner) == self._session.name

    def _act(self, view: View, now_s: float) -> None:
        dead = self._dead(view, now_s)
        living = {node.name for node in view.nodes if node.left_s > 0} - dead | {self._session.name}
        owners = {one.number: one.owner for one in view.partitions}
        seen = {
            one.number: Seen(one.owner, is_free=not one.owner or one.left_s <= 0 or node_of(one.owner) in dead)
            for one in view.partitions
        }
        planned = plan(self._session.name, living, self._partitions, seen, self._hosting.mine())
        for number in planned.give:
            logger.info("partition %d goes to another node", number)
            self._hosting.give(number)
        for number in set(planned.take) - self._gone(view):
            owner = owners.get(number, "")
            self._hosting.take(number, owner if node_of(owner) in dead else "")

    def _gone(self, view: View) -> set[int]:
        """Return the partitions that have disappeared. To open one of them would begin an empty log in its place."""
        found = {one.number for one in view.partitions}
        self._there |= {one.number for one in view.partitions if not one.is_copy}
        missing = self._there - found
        if missing - self._missing:
            logger.error(
                "partitions %s are not in the database any more: its tables were dropped, or another database answers. They are "
                "not begun anew: bring them back, or stop all processes of the cluster and start them again",
                ", ".join(map(str, sorted(missing))),
            )
        self._missing = missing
        return missing

    def _dead(self, view: View, now_s: float) -> set[str]:
        """Return the nodes without a connection for too long: their process or machine has died."""
        silent = {node.name for node in view.nodes if not node.has_session and node.name != self._session.name}
        self._silent_since = {name: self._silent_since.get(name, now_s) for name in silent}
        return {name for name, since_s in self._silent_since.items() if now_s - since_s >= SILENCE_S}
