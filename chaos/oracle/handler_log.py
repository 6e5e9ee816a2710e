"""How handlers were called in a night: each call is held against what is on record in that moment, and beside which others it runs.

What handlers then do is in `night_work`; what publishers were told, in `publisher_log`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.publisher_log import PublisherLog
from perdure.chaos.simulation.handlers import CROWD_MAX, Call, Crowd
from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from perdure.actors.workers.context import Context

__all__ = ["HandlerLog"]


@attrs.define(eq=False, slots=False, kw_only=True)
class HandlerLog(PublisherLog):
    """The part of a night that handlers know."""

    paused: set[type[Any]] = attrs.field(factory=set)
    calls: dict[tuple[str, int], Call] = attrs.field(factory=dict)
    calls_here: dict[tuple[str, int], Call] = attrs.field(factory=dict)
    """Those of the process that runs now."""
    running: list[Call] = attrs.field(factory=list)

    deaths: Counter[str] = attrs.field(factory=Counter)

    def count(self, what: str) -> None:
        """Count a trouble."""
        self.deaths[what] += 1

    def name_of(self, kind: type[Any]) -> str:
        """Give the name under which a type is on record."""
        return self.system.drafts.names.name(kind)

    def begun(self, what: Any, ctx: Context) -> Call:
        """A handler is called: hold that against what is on record at this moment."""
        options = self.options.get(ctx.id, {})
        key = None if options.get("dedup") == "append" or ctx.id not in self.options else ctx.key
        call = Call(self.name_of(type(what)), ctx, key, options.get("group"))
        if not self.store.leases[ctx.id, ctx.attempt]:
            self.break_contract(f"the handler of {ctx.id} was called before its lease was on record")
        if type(what) in self.paused:
            self.break_contract(f"the handler of {ctx.id} was called while it was paused")
        self.running = [other for other in self.running if not other.ended]
        for other in self.running:
            same_key = call.key is not None and (other.type, other.key) == (call.type, call.key)
            same_group = call.group is not None and other.group == call.group
            if (other.id, other.attempt) in self.store.revived and not self.is_in_force(call):
                # It was let go when the other had ended; then the disk lost that, and its own lease with it. Nobody can call back
                # what is about to begin; the next term of the queue deals with both.
                continue
            beside = same_key or same_group or other.id == call.id
            if beside and self.is_in_force(other) and not other.context.cancelled:
                self.break_contract(f"{call} began beside {other}, whose lease is in force")
        self.running.append(call)
        if isinstance(what, Crowd):
            self._check_crowd()
        self.calls[call.id, call.attempt] = self.calls_here[call.id, call.attempt] = call
        return call

    def is_in_force(self, call: Call) -> bool:
        """Tell whether a call has its message's lease, as far as the record tells, and is not over."""
        return not call.ended and self.store.in_force.get(call.id) == call.attempt

    def cancel_running(self, by: Call) -> None:
        """From inside a handler, call off one that runs: the one it runs beside, or itself. No outcome of it is taken then."""
        call = next((other for other in self.running if other is not by and self.is_in_force(other)), by)
        try:
            if not self.system.cancel(call.id):
                return  # it has lost its lease and ended otherwise, or has never had it as far as the log that is left tells
        except (PerdureError, TimeoutError):
            return
        self.count("cancelled while it ran")
        if self.is_in_force(call):
            self.break_contract(f"{call} is told to be cancelled, and its lease is in force")
        self.wait(1.0)
        if not call.ended and not call.context.cancelled:
            self.break_contract(f"{call} is cancelled, and its handler is not told")

    def _check_crowd(self) -> None:
        name = self.name_of(Crowd)
        beside = [call for call in self.running if call.type == name and self.is_in_force(call)]
        if len(beside) > CROWD_MAX:
            self.break_contract(f"{len(beside)} handlers of {name} run at once, where {CROWD_MAX} may")

    def children(self, ident: str, attempt: int) -> list[str]:
        """Give what the handler of an attempt published."""
        call = self.calls.get((ident, attempt))
        return [] if call is None else call.children

    def wait(self, seconds: float) -> None:
        """Let a handler take its time, while the world goes on."""
        self.executor.run_until(lambda: False, seconds)
