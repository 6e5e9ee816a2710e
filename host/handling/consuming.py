"""Consuming by hand, and waiting until nothing is left to do, from a thread or a coroutine.

A delivery that was checked out is in `manual_delivery`; handlers are registered in `decorators`. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.actors.core.messages import Report, WhenIdle
from perdure.actors.core.texts import plain_text
from perdure.actors.core.threads.current_actor import check_is_outside, check_may_wait
from perdure.arguments.choices import check_whole
from perdure.events.commands import CheckOut, Fail
from perdure.events.errors import InvalidMessage
from perdure.events.seconds import checked_seconds, seconds_or_none, wait_seconds, whole_us
from perdure.handling.manual_delivery import Delivery
from perdure.payloads.class_memory import remember
from perdure.payloads.type_names import held_up, unhandled
from perdure.publishing.publish_future import PublishFuture
from perdure.runtime.asking import Asking

if TYPE_CHECKING:
    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = ["Consuming"]


M = TypeVar("M")


class Consuming(Asking):
    """The part of the front door that takes messages out by hand."""

    options: Options
    drafts: Drafts

    @overload
    def checkout(self, type: type[M], *, lease: float = 30.0, retries: int | None = None) -> Delivery[M] | None: ...

    @overload
    def checkout(self, type: str, *, lease: float = 30.0, retries: int | None = None) -> Delivery[Any] | None: ...

    def checkout(
        self,
        type: type | str,
        *,
        lease: float = 30.0,
        retries: int | None = None,
    ) -> Delivery[Any] | None:
        """Return the next ready message of a type, leased to the caller for `lease` seconds; None if there is none.

        Args:
            type: the message class, or its name. Messages of a class that no longer exists come as plain data, to be rejected, say.
            lease: seconds until the message goes back, unless the lease is extended or a heartbeat renews it.
            retries: how often the message is tried again; as its handler, or as `Options.retries`, unless given.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
            NotAllowed: within `acting_as`, and from another process: the system's `authorize` refuses the right `consume`.
            UnknownMessageType: the class has no name.
            InvalidMessage: messages of this class cannot be decoded.
            ValueError: the lease is not above 0 seconds, or `retries` is not a whole number of 0 or more.
        """
        lease = checked_seconds("lease", lease, above_zero=True)
        name = self.drafts.handled(type)
        if retries is not None:
            check_whole("retries", retries, 0)
        self.permit("consume", lambda: [name])
        if self.drafts.receive is not None:
            found: Delivery[Any] | None = self.drafts.receive(name, lambda: self._checkout(name, lease, retries))
            return found
        return self._checkout(name, lease, retries)

    def _checkout(self, name: str, lease: float, retries: int | None) -> Delivery[Any] | None:
        """Return a delivery of the first message that can be decoded."""
        if name not in self._checked_out_types:
            remember(self._checked_out_types, name, None)
        tries = self._retries_of(name) if retries is None else retries
        while True:
            handed = self.ask("queue", CheckOut(name, self.drafts.ids.holder(), whole_us(lease), tries))
            if handed is None:
                return None
            try:
                message = self.drafts.load(handed.published)
            except InvalidMessage as error:
                published, attempt = handed.published, handed.lease.attempt
                reason = plain_text(f"its payload cannot be decoded: {error}")
                self.ask("queue", Fail(published.number, published.id, attempt, "perdure.InvalidMessage", reason, "", 0, reason))
                continue  # this one is a dead letter now; the next one may be readable
            return Delivery(handed, message, lease, lambda command: self.ask("queue", command), self.drafts.settle)

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no message is ready, delayed, held or in flight.

        Args:
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: some still were after `timeout` seconds; the error says how many, and where, which types no process
                has a handler for, and which are paused.
            NotRunning: the system does not run, or stopped meanwhile.
            WouldDeadlock: a handler calls; its own message is in flight for as long as it waits.
        """
        check_is_outside("drain")
        wait_s = wait_seconds("timeout", timeout)
        left = self._left_after(wait_s)
        if left:
            raise TimeoutError(f"after {wait_s:g} s {left}")

    def _left_after(self, wait_s: float) -> str:
        """Wait until nothing is left to do, `wait_s` seconds at most; below 0, as long as it takes. Return what is left, in words.

        Raises:
            As `drain`, but for TimeoutError.
        """
        self.permit("look")
        self._check_may_block("drain", "adrain", self._handled)
        pending, answer = self._pending_and_answer()
        request = pending.send("queue", WhenIdle(), answer, is_long_wait=True)
        try:
            answer.wait(wait_s)
        except TimeoutError:
            pending.forget(request)
            return self._still_there()
        return ""

    def _still_there(self) -> str:
        by_type = self.ask("queue", Report()).by_type
        places = {
            name: sum(getattr(counts, name) for counts in by_type.values()) for name in ("ready", "delayed", "held", "in_flight")
        }
        waiting = {name: counts.ready + counts.delayed + counts.held for name, counts in by_type.items()}
        wanted: dict[str, tuple[int, bool]] = self.ask("dispatcher", Report())
        paused = [name for name, count in waiting.items() if count and wanted.get(name, (0, False))[1]]
        return (
            f"there are still {places['ready']} ready, {places['delayed']} delayed, {places['held']} held and "
            f"{places['in_flight']} in flight{unhandled(waiting, self.run_figures().handlers)}{held_up(waiting, paused)}"
        )

    async def adrain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as `drain`
        """As `drain`, from a coroutine; does not block the event loop. A cancelled await leaves nothing behind.

        Raises:
            As `drain`.
        """
        wait_s = seconds_or_none("timeout", timeout, above_zero=False)
        check_may_wait()
        await self._ready()
        self.permit("look")
        pending = self._pending
        reply: PublishFuture[None] = PublishFuture()
        request = pending.send("queue", WhenIdle(), reply, is_long_wait=True)
        try:
            await asyncio.wait_for(asyncio.wrap_future(reply), wait_s)
        except TimeoutError:
            pending.forget(request)
            left = await asyncio.to_thread(self._still_there)
            raise TimeoutError(f"after {wait_s or 0.0:g} s {left}") from None
        except asyncio.CancelledError:
            pending.forget(request)
            raise
