"""What a `Client` stands on whose queue is in a database: publishes become rows, and all else is asked of the owner.

A publish needs no owner; the partition's owner takes it in, once (`perdure.runtime.database.ingress_source`). Questions go over a
`Connection` through the database, which is made for the first of them.
"""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from operator import call
from typing import TYPE_CHECKING, Any, cast

from perdure.actors.core.threads.answer import Answer
from perdure.actors.journal.gathering import Gathering
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.moments import as_sent
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout, StoreUnavailable, another
from perdure.processes.to_owner.connection import Connection
from perdure.store import AppendInDoubt
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.request import Request
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.processes.ways.way import Way
    from perdure.store.other_processes import Ingress

__all__ = ["DatabaseConnection"]

ROWS_MAX = 1_000
BYTES_MAX = 8 << 20
"""Of one transaction."""
RETRY_S = 0.05


class DatabaseConnection:
    """Publishes and asks. Safe in any thread. Publishes of many threads share a commit."""

    publishes_alone = True
    says_policies = False
    """The owner applies its handlers' policies when it takes a message in."""

    def __init__(
        self,
        ingress: Ingress,
        way: Way,
        timeout_s: float,
        name: str,
        on_facts: Callable[[dict[str, Any]], None],
        ahead_us: Callable[[], int] = lambda: 0,
        mark_us: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._ingress = ingress
        self._way = way
        self.timeout_s = timeout_s
        self._name = name
        self._on_facts = on_facts
        self._ahead_us = ahead_us
        self._mark_us = mark_us
        self._begin()

    def _begin(self) -> None:
        self.pending = PendingRequests(self.tell)
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._taken: list[Request | None] = []
        """What the writing thread has in hand. It is still there where an exception has interrupted that thread."""
        self._unwritten: list[None] = []
        """An entry for each publish without an answer: a list counts without a lock."""
        self._is_in_doubt = False
        """What is in hand may have been written, and is not answered for. An exception that interrupts the thread leaves it so."""
        self._gathering = Gathering()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asking = Connection(self._way, self.timeout_s, self._name, self._on_facts, equip=self._equip, pending=self.pending)

    def _equip(self, exchange: Exchange) -> None:
        exchange.is_local = _is_publish
        exchange.ahead_us = self._ahead_us
        exchange.local = self._unwritten.__len__

    @property
    def pid(self) -> int | None:
        """The owner's process, which is not known here."""
        return None

    @property
    def welcomed(self) -> threading.Event:
        """See `Connection.welcomed`."""
        return self._asking.welcomed

    @property
    def exchange(self) -> Exchange:
        """See `Connection.exchange`."""
        return self._asking.exchange

    def start(self) -> None:
        """Begin to look for the owner."""
        self._asking.start()

    def answer(self) -> Answer:
        """Return a reply to wait for."""
        return Answer()

    def tell(self, target: str, request: Request) -> None:
        """Write a publish, or ask the owner; see `PendingRequests`."""
        if not _is_publish(request):
            self._asking.tell(target, request)
            return
        self._unwritten.append(None)
        self._requests.put(request)
        if self._thread is None:
            self._start_writing()

    def _start_writing(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = EnduringThread(self._write_all, "perdure-ingress")
                thread.start()
                self._thread = thread

    def no_owner(self) -> NotRunning:
        """Return the error of a request that no owner has taken in time."""
        return self._asking.no_owner()

    def rest(self) -> None:
        """See `Connection.rest`."""
        self._asking.rest()

    def close(self, wait_s: float, why: NotRunning) -> None:
        """Wait for what is under way, then refuse what is left."""
        until_s = time.monotonic() + wait_s
        self.pending.closed = self.pending.closed or why
        self._requests.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(wait_s)
        self._asking.close(max(0.0, until_s - time.monotonic()), why)
        self._ingress.close()

    def discard_after_fork(self, why: NotRunning) -> None:
        """In a forked child: what waits is the parent's; begin anew."""
        self._asking.discard_after_fork(why, for_good=True)
        self._way.discard_after_fork()
        self._begin()

    # --- the writing thread ------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        taken = self._taken
        while not taken or taken[0] is not None:
            if not taken:
                self._take(partial(self._requests.get, True))  # noqa: FBT003 - `map` gives no keywords
            requests, bodies = self._gathered()
            if requests:
                self._write(requests, bodies)  # what an exception interrupted is written again, under the same ids
            answered = slice(len(requests))
            del self._unwritten[answered], taken[answered]  # without a call in between, where an exception could be raised

    def _take(self, get: Callable[[], Request | None]) -> None:
        """Take another request in hand: no bytecode runs in between, so no exception from outside is raised there.

        Raises:
            queue.Empty: there is none.
        """
        self._taken.extend(map(call, (get,)))

    def _gathered(self) -> tuple[list[Request], list[bytes]]:
        """Return the requests that share the next commit, the first ones in hand, and their rows."""
        requests: list[Request] = []
        bodies: list[bytes] = []
        size = 0
        while len(bodies) < ROWS_MAX and size < BYTES_MAX:
            if len(requests) == len(self._taken):
                try:
                    self._take_following(requests)
                except queue.Empty:
                    break
            request = self._taken[len(requests)]
            if request is None:
                break
            body = self._body(request)
            if body is None:
                del self._taken[len(requests)]
                if not self._taken:
                    break
                continue
            requests.append(request)
            bodies.append(body)
            size += len(body)
        return requests, bodies

    def _take_following(self, requests: list[Request]) -> None:
        """Take what shares a commit with these; single publishes wait a moment for others, as in a journal.

        Raises:
            queue.Empty: nothing does.
        """
        try:
            self._take(self._requests.get_nowait)
        except queue.Empty:
            if not self._gathering.is_worth_it or any(len(cast("Publish", one.command).drafts) > 1 for one in requests):
                raise
            wait_s = self._gathering.wait_s(len(requests), time.monotonic())
            if not wait_s:
                raise
            self._take(partial(self._requests.get, timeout=wait_s))

    def _body(self, request: Request) -> bytes | None:
        if isinstance(request.command, SubmitBatch):
            request.command = request.command.publish()
        request.command.fresh = False
        try:
            return OBJECTS.packed(as_sent(request.command, self._ahead_us))
        except (TypeError, ValueError) as error:
            self.pending.refuse(request, PerdureError(f"the request cannot cross to another process: {error}"))
            del self._unwritten[-1:]  # not there where an exception has interrupted this before
            return None

    def _write(self, requests: list[Request], bodies: list[bytes]) -> None:
        """Write rows until it is known that they are there, for the client's time at most, and answer for them."""
        until_s = time.monotonic() + self.timeout_s
        is_in_doubt = self._is_in_doubt  # an exception has interrupted an earlier try
        while True:
            begun_s = time.monotonic()  # of this try: how long the database was away says nothing of its commits
            self._is_in_doubt = True
            try:
                self._ingress.add(bodies, self._mark_us())
            except (AppendInDoubt, ConnectionError) as error:
                is_in_doubt = self._is_in_doubt = is_in_doubt or isinstance(error, AppendInDoubt)
                if time.monotonic() < until_s:
                    time.sleep(RETRY_S)
                    continue
                self._refuse(requests, StoreUnavailable(f"{error} Nothing was published."), is_in_doubt=is_in_doubt)
            except PerdureError as error:
                self._refuse(requests, error, is_in_doubt=is_in_doubt)
            else:
                took_s = time.monotonic() - begun_s
                self._gathering.committed(took_s, len(requests), more_came=not self._requests.empty())
                for request in requests:
                    self.pending.settle(request, None)
            self._is_in_doubt = False
            return

    def _refuse(self, requests: list[Request], error: PerdureError, *, is_in_doubt: bool) -> None:
        for request in requests:
            for piece in self.pending.split(request):
                told: PerdureError = another(error)
                if is_in_doubt:
                    ids = tuple(draft.id for draft in cast("Publish", piece.command).drafts)
                    told = PublishTimeout("the database did not answer: published or not; publish again under the same ids", ids)
                self.pending.refuse(piece, told)


def _is_publish(request: Request) -> bool:
    return isinstance(request.command, Publish | SubmitBatch)
