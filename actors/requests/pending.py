"""Requests that wait for their answers: each is sent again until it is answered, whatever dies on the way, and answered once.

What a command means is up to its receiver; that a command sent twice counts once is a rule (`events/queue/decisions`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
import weakref
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.actors.requests.request import KEY_STEP, Request
from perdure.actors.requests.room_waiters import LoopWaiter
from perdure.actors.requests.submit_batch import SUBMIT_BATCH_MAX, SubmitBatch, orphan
from perdure.events.commands import Publish
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout, QueueFull, StoreUnavailable, another

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from perdure.actors.core.threads.answer import Reply
    from perdure.actors.requests.room_waiters import Waiter
    from perdure.events.structures.id_index import IdRun

__all__ = ["PendingRequests"]


class _PerThread(threading.local):
    """State of each thread."""

    submit_batch: Callable[[], SubmitBatch | None] = staticmethod(lambda: None)
    """Returns the submit batch that the thread sent last, while it is kept, and if the thread has sent nothing since."""


class PendingRequests:
    """All requests without an answer. Safe in any thread."""

    def __init__(self, tell: Callable[[str, Any], None]) -> None:
        self.tell = tell
        """Sends a request to an actor by its name; chaos interferes here."""
        self._keys = itertools.count(1, KEY_STEP)
        self._per_thread = _PerThread()
        self.outstanding: dict[int, Request] = {}
        self.extra_pending: list[None] = []
        """An entry for each message of a submit batch but the first: a list counts without a lock. A thread that dies between two
        steps may leave one too many or too few, until nothing is outstanding."""
        self._long_waits: set[int] = set()
        """The keys of requests that wait for something other than an answer: `under_way` does not count them."""
        self._waiters: list[Waiter] = []
        """One for each wait for room. A waiter of a thread is a held lock; notifying releases it. No Condition: an actor that is
        killed while it enters one would keep it locked for ever."""
        self._loop_waiters: dict[asyncio.AbstractEventLoop, LoopWaiter] = {}
        """Those of `_waiters` that wake coroutines; each is used by its own loop's thread alone."""
        self._notify_at = 0
        self._holds_publishes = False
        self.closed: PerdureError | None = None
        """While set, requests from outside are refused with this."""
        self._ended: NotRunning | None = None
        """Why there is no actor left to answer: all requests are refused with this, those of actors as well."""

    def send(
        self, target: str, command: Any, reply: Reply, *, from_outside: bool = True, is_long_wait: bool = False, times: int = 1
    ) -> Request:
        """Send a command to the actor `target`; its answer goes to `reply`.

        A long wait is for something that may never happen; it takes no room from requests that are simply answered.
        `times`: how often it was sent, to earlier runs and now. One that was sent before may be done already: it waits for as long
        as the log cannot be written, since no answer would be known to be true.

        Raises:
            NotRunning, StoreUnavailable: it is closed to requests from outside; nothing was sent.
        """
        if from_outside:
            if self.closed is not None and (times == 1 or type(self.closed) is not StoreUnavailable):
                raise another(self.closed)
            # A message that this thread adds to a submit batch must not overtake this request.
            self._per_thread.submit_batch = _PerThread.submit_batch
        request = Request(next(self._keys), target, command, reply, from_outside, times, writes=int(times > 1))
        # Entered before it is sent: if the actor is replaced in between, its successor finds it among the `unanswered`.
        self.outstanding[request.key] = request
        if is_long_wait:
            self._long_waits.add(request.key)
        if self._ended is None:
            self.tell(target, request)
        else:  # looked at once it is entered: an end that comes later finds it there
            self.refuse(request, another(self._ended))
        return request

    def redirect(self, tell: Callable[[str, Any], None]) -> None:
        """Send requests by `tell` from now on; its receiver sends those without an answer again.

        Called before that looks at what is `outstanding`, it misses no request that another thread enters meanwhile.
        """
        self._holds_publishes = False
        self.tell = tell

    def hold_publishes(self) -> None:
        """Hold publishes back until `release_publishes`: what was spooled before them is to reach the log before them."""
        tell = self.tell
        self._holds_publishes = True

        def tell_others(target: str, request: Any) -> None:
            if not (self._holds_publishes and isinstance(request.command, (Publish, SubmitBatch))):
                tell(target, request)

        self.tell = tell_others

    def release_publishes(self) -> None:
        """Send the publishes that were held back, in their order, and all later ones."""
        if not self._holds_publishes:
            return
        self._holds_publishes = False  # first: what is entered from now on is sent, what was before is outstanding
        for _, request in sorted(self.outstanding.items(), key=_key):
            if isinstance(request.command, (Publish, SubmitBatch)):
                request.times += 1
                self.tell(request.target, request)

    def submit(self, type_name: str, payload: bytes, reply: Reply, ids: Callable[[int], IdRun]) -> None:
        """Send a plain message, in the submit batch that this thread sent last if that is still open.

        Raises:
            NotRunning, StoreUnavailable: as `send`.
        """
        if self.closed is not None:
            raise another(self.closed)
        submit_batch = self._per_thread.submit_batch()
        if submit_batch is not None and submit_batch.type == type_name:
            self.extra_pending.append(None)  # first, so that a thread that settles the batch finds it
            if submit_batch.add(payload, reply):
                return
            del self.extra_pending[-1:]
        submit_batch = SubmitBatch(type_name, ids(SUBMIT_BATCH_MAX))
        submit_batch.add(payload, reply)
        self.send("queue", submit_batch, submit_batch)
        self._per_thread.submit_batch = weakref.ref(submit_batch)

    def submit_batch(self) -> SubmitBatch | None:
        """Return the submit batch of this thread's newest message, if that was submitted, is plain and has no answer yet."""
        return self._per_thread.submit_batch()

    def split(self, request: Request) -> list[Request]:
        """Return a request for each message of a submit batch, in its place; return any other request as it is."""
        submit_batch = request.reply
        if not isinstance(submit_batch, SubmitBatch) or submit_batch.count() == 1:
            return [request]
        pieces = []
        if request.key in self.outstanding:
            for key, part in enumerate(submit_batch.split(), request.key + 1):
                piece = msgspec.structs.replace(request, key=key, command=part.publish(), reply=part)
                pieces.append(self.outstanding.setdefault(key, piece))  # there already: a thread that began this before has died
            self._remove(request)
        return pieces

    @property
    def under_way(self) -> int:
        """How many messages and other requests have no answer yet, but for those that wait for results and the like."""
        if not self.outstanding:
            self.extra_pending.clear()
            self._long_waits.clear()
        return len(self.outstanding) + len(self.extra_pending) - len(self._long_waits)

    def wait_for_room(self, most: int, timeout_s: float) -> None:
        """Wait while `most` or more are under way: a publisher that is too fast is held up here.

        Raises:
            QueueFull: there was no room in time.
            WouldDeadlock: there is none, and this is the thread of an actor that would have to make it.
        """
        if len(self.outstanding) + len(self.extra_pending) < most or self.under_way < most:  # never less than `under_way`
            return
        check_may_wait()
        until_s = time.monotonic() + timeout_s
        # Woken when a quarter is done, not at each one: a publisher that is woken for one place fills it and waits again.
        self._notify_at = most - most // 4
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)  # before the look: a thread that removes a request notifies after it
        try:
            while self.under_way >= most:
                if not waiter.acquire(timeout=max(0.0, until_s - time.monotonic())):
                    raise _no_room(most, timeout_s)
        finally:
            self._waiters.remove(waiter)

    async def await_room(self, most: int, timeout_s: float) -> None:
        """As `wait_for_room`, from a coroutine: blocks neither its thread nor a thread of an executor.

        Raises:
            QueueFull: as `wait_for_room`.
        """
        if self.under_way < most:
            return
        self._notify_at = most - most // 4
        loop = asyncio.get_running_loop()
        waiter = self._loop_waiters.get(loop)
        if waiter is None:
            waiter = self._loop_waiters[loop] = LoopWaiter(loop)
            self._waiters.append(waiter)
        waiter.waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                while self.under_way >= most:
                    await waiter.wait_for_notify()
        except TimeoutError:
            raise _no_room(most, timeout_s) from None
        finally:
            waiter.waiting -= 1
            if not waiter.waiting:
                self._waiters.remove(waiter)
                del self._loop_waiters[loop]

    def _notify(self) -> None:
        """Wake the waits for room, if there is enough."""
        if self._waiters and self.under_way <= self._notify_at:
            for waiter in list(self._waiters):
                with contextlib.suppress(RuntimeError):  # notified before, and not awake yet
                    waiter.release()

    def _remove(self, request: Request) -> None:
        self._leave(request)
        self._notify()

    def _leave(self, request: Request) -> None:
        if type(request.reply) is SubmitBatch and (extra_pending := request.reply.count() - 1):
            del self.extra_pending[-extra_pending:]
        self.outstanding.pop(request.key, None)
        if self._long_waits:
            self._long_waits.discard(request.key)

    def settle(self, request: Request, value: Any) -> None:
        """Answer a request."""
        # Answered before it is removed: after a death in between it is asked and answered again, never left unanswered.
        if request.key in self.outstanding:
            request.reply.resolve(value)
            self._remove(request)

    def settle_all(self, requests: Iterable[Request]) -> None:
        """Answer many requests that they are done."""
        outstanding = self.outstanding
        for request in requests:
            if request.key in outstanding:
                request.reply.resolve(None)
                self._leave(request)
        self._notify()

    def refuse(self, request: Request, error: BaseException) -> None:
        """Refuse a request."""
        if request.key in self.outstanding:
            request.reply.reject(error)
            self._remove(request)

    def forget(self, request: Request) -> bool:
        """Stop waiting for an answer; return False if it has come already."""
        was_there = request.key in self.outstanding
        self._remove(request)
        return was_there

    def void(self, requests: Iterable[Request]) -> None:
        """Count a lost frame for each of these requests (a request may be named several times); refuse those with a second one.

        Called by the journal that has voided the frame, before it takes appends: later, one of them may be on its way to the log
        again.
        """
        for request in requests:
            request.voided += 1
            if request.voided > 1 and request.may_be_refused:
                self.refuse(request, _unavailable("the log could not be synced to the disk, twice"))

    def pieces_of(self, request: Request) -> list[Request]:
        """Return what is outstanding of a request: itself, or the requests that it was split into."""
        if request.key in self.outstanding or not isinstance(request.reply, SubmitBatch):
            return [request]
        keys = range(request.key + 1, request.key + 1 + request.reply.count())
        return [piece for key in keys if (piece := self.outstanding.get(key)) is not None]

    def unanswered(self, target: str, among: Container[int] | None = None) -> list[Request]:
        """Return the requests that wait for an answer of `target`, in the order in which they were made; for its successor.

        Called once the successor is entered in the directory, this misses nothing: later requests reach its mailbox.
        `among`: only those of these keys.
        """
        requests = [request for _, request in sorted(self.outstanding.items(), key=_key) if request.target == target]
        if among is not None:
            requests = [request for request in requests if request.key in among]
        if self._holds_publishes:
            requests = [request for request in requests if not isinstance(request.command, (Publish, SubmitBatch))]
        for request in requests:
            request.times += 1
        self._notify()  # a thread that died may have removed the last one without notifying
        return requests

    def close(self, error: PerdureError) -> None:
        """Refuse requests from outside from now on, and those outstanding whose command is known not to have been written."""
        self.closed = error
        for request in list(self.outstanding.values()):
            if request.may_be_refused:
                self.refuse(request, another(error))

    def reopen(self) -> None:
        """Take requests from outside again, unless no actor is left."""
        self.closed = self._ended

    def discard_after_fork(self, error: NotRunning) -> None:
        """Refuse all requests in a forked child: those outstanding are the parent's, and are answered there."""
        self.closed = self._ended = error
        outstanding, self.outstanding = self.outstanding, {}
        for request in outstanding.values():
            orphan(request.reply, another(error))

    def abandon(self, error: NotRunning) -> None:
        """Refuse everything, now and from now on: no actor is left to answer, or to find out about a frame in doubt."""
        self.closed = self._ended = error
        for request in [piece for whole in list(self.outstanding.values()) for piece in self.split(whole)]:
            in_doubt = isinstance(request.command, Publish) and not request.may_be_refused
            self.refuse(request, _in_doubt(request.command, error) if in_doubt else another(error))


_key = itemgetter(0)


def _no_room(most: int, timeout_s: float) -> QueueFull:
    return QueueFull(f"{most:,} publishes are under way and none was answered within {timeout_s:g} s. Nothing was published.")


def _unavailable(why: str) -> StoreUnavailable:
    return StoreUnavailable(f"{why}. Nothing was published; check the disk and its log, then try again.")


def _in_doubt(publish: Publish, error: PerdureError) -> PublishTimeout:
    ids = tuple(draft.id for draft in publish.drafts)
    msg = (
        f"{len(ids)} message(s) were written, and it is not known whether they got to the disk: {error} Publish again with "
        f"the same id to settle it (the first is {ids[0]}); see `.ids`."
    )
    return PublishTimeout(msg, ids)
