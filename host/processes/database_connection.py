"""A `Client` on any host that reaches a queue through its database: it publishes. The partition's owner takes that in, once.

What a publish becomes in the owner is `perdure.runtime.ingress_source`'s; the rows are the store's.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, cast

from perdure.actors.core.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.sessions.crossing import OBJECTS
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout, StoreUnavailable, another
from perdure.store import AppendInDoubt

if TYPE_CHECKING:
    from perdure.actors.requests.pending import Request
    from perdure.store.protocol import Ingress

__all__ = ["DatabaseConnection"]

ROWS_MAX = 1_000
BYTES_MAX = 8 << 20
"""Of one transaction."""
RETRY_S = 0.05


class DatabaseConnection:
    """What a `Client` needs of a connection, with the database in the owner's place. Publishes of many threads share a commit."""

    def __init__(self, ingress: Ingress, address: str, timeout_s: float) -> None:
        self.ingress = ingress
        self.folder = address
        self.timeout_s = timeout_s
        self.pid: int | None = None
        self.pending = PendingRequests(self.tell)
        self.welcomed = threading.Event()
        self.welcomed.set()
        self.says_policies = False
        """The owner applies its handlers' policies when it takes a message in."""
        self._begin()

    def _begin(self) -> None:
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that writes."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="perdure-ingress", daemon=True)
                self._thread.start()

    def answer(self) -> Answer:
        """Return a reply to wait for."""
        return Answer()

    def tell(self, _target: str, request: Request) -> None:
        """Write a request; see `PendingRequests`."""
        if not isinstance(request.command, Publish | SubmitBatch):
            error = PerdureError(
                "through a database a client only publishes; ask in the process that owns the partition, or by perdure.Audit"
            )
            self.pending.refuse(request, error)
            return
        self._requests.put(request)
        if self._thread is None:
            self.start()

    def no_owner(self) -> NotRunning:
        """Return the error of a request that was not taken; no owner is needed here."""
        return NotRunning(f"the database at {self.folder} was not reached within {self.timeout_s:g} s")

    def close(self, wait_s: float, why: NotRunning) -> None:
        """Wait for what is under way, then refuse what is left."""
        self.pending.closed = self.pending.closed or why
        self._requests.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(wait_s)
        self.pending.abandon(why)
        self.ingress.close()

    def discard_after_fork(self, why: NotRunning) -> None:
        """In a forked child: what waits is the parent's; begin anew."""
        self.pending.discard_after_fork(why)
        self.pending.closed = None
        self._begin()

    # --- the writing thread ------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while (request := self._requests.get()) is not None:
            requests, bodies, size, is_last = [], [], 0, False
            following: Request | None = request
            while following is not None:
                body = self._body(following)
                if body is not None:
                    requests.append(following)
                    bodies.append(body)
                    size += len(body)
                if len(bodies) >= ROWS_MAX or size >= BYTES_MAX or self._requests.empty():
                    break
                following = self._requests.get()
                is_last = following is None
            if requests:
                self._write(requests, bodies)
            if is_last:
                return

    def _body(self, request: Request) -> bytes | None:
        if isinstance(request.command, SubmitBatch):
            request.command = request.command.publish()
        request.command.fresh = False
        try:
            return OBJECTS.packed(request.command)
        except (TypeError, ValueError) as error:
            self.pending.refuse(request, PerdureError(f"the request cannot cross to another process: {error}"))
            return None

    def _write(self, requests: list[Request], bodies: list[bytes]) -> None:
        """Write rows until it is known that they are there, for the client's time at most, and answer for them."""
        until_s = time.monotonic() + self.timeout_s
        is_in_doubt = False
        while True:
            try:
                self.ingress.add(bodies)
            except (AppendInDoubt, ConnectionError) as error:
                is_in_doubt = is_in_doubt or isinstance(error, AppendInDoubt)
                if time.monotonic() < until_s:
                    time.sleep(RETRY_S)
                    continue
                self._refuse(requests, StoreUnavailable(f"{error} Nothing was published."), is_in_doubt=is_in_doubt)
            except PerdureError as error:
                self._refuse(requests, error, is_in_doubt=is_in_doubt)
            else:
                for request in requests:
                    self.pending.settle(request, None)
            return

    def _refuse(self, requests: list[Request], error: PerdureError, *, is_in_doubt: bool) -> None:
        for request in requests:
            for piece in self.pending.split(request):
                told: PerdureError = another(error)
                if is_in_doubt:
                    ids = tuple(draft.id for draft in cast("Publish", piece.command).drafts)
                    told = PublishTimeout("the database did not answer: published or not; publish again under the same ids", ids)
                self.pending.refuse(piece, told)
