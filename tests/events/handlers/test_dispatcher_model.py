"""The dispatcher's rules against a plain model: what a host registered, what an operator changed since, and what is paused."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.codec.snapshot import States, dump_handlers, fold
from perdure.events.errors import UnknownMessageType
from perdure.events.handlers import registry as rules
from perdure.events.handlers.registry import HandlersState
from tests.effort import examples

TYPES = ("a", "b", "c")
kinds = st.sampled_from(TYPES)


@attrs.define
class Plain:
    """One handler as an operator sees it."""

    code: tuple[int, int]
    """Workers as the code asks for: at least, and at most (0: just as many)."""
    timeout_us: int
    operator: int | None = None
    elastic: int | None = None
    changes: dict[str, Any] = attrs.field(factory=dict)

    @property
    def workers(self) -> int:
        if self.operator is not None:
            return self.operator
        return self.code[0] if self.elastic is None else self.elastic


class Handlers(RuleBasedStateMachine):
    """Each command twice: the second time it changes nothing, so what is sent again after a death counts once."""

    def __init__(self) -> None:
        super().__init__()
        self.state = HandlersState()
        self.replayed = States()
        self.plain: dict[str, Plain] = {}
        self.all_paused = False
        self.paused: set[str] = set()

    def do(self, command: Any) -> list[ev.Event]:
        events = rules.decide(self.state, command)
        for event in events:
            rules.evolve(self.state, event)
        assert rules.decide(self.state, command) == [], "sent again, a command counts once"
        if events:
            fold(self.replayed, wire.decode(wire.encode([(1, events)]), len(events)), self.replayed.seq + 1)
        return events

    @rule(kind=kinds, low=st.integers(0, 3), more=st.integers(0, 3), timeout_us=st.sampled_from([0, 5_000]))
    def register(self, kind: str, low: int, more: int, timeout_us: int) -> None:
        code = (low, low + more if more else 0)
        self.do(rules.Register(ev.HandlerRegistered(kind, low, 5, timeout_us, 0, "replace", "b", code[1])))
        known = self.plain.get(kind)
        if known is not None and (known.code, known.timeout_us) == (code, timeout_us):
            return  # the same code again, at every start: all that an operator changed stays
        # Other code: what an operator set outlives it, each option until the code itself asks for another value of that one.
        operator = known.operator if known is not None and known.code[0] == low else None
        changes = {} if known is None else dict(known.changes)
        if known is not None and known.timeout_us != timeout_us:
            changes.pop("timeout_s", None)
        self.plain[kind] = Plain(code, timeout_us, operator, changes=changes)

    @rule(kind=kinds, n=st.sampled_from([-1, 0, 1, 2, 5, 10_000, 10_001]))
    def scale(self, kind: str, n: int) -> None:
        command = rules.Scale(kind, n)
        if kind not in self.plain:
            with pytest.raises(UnknownMessageType, match=kind):
                self.do(command)
        elif not 0 <= n <= 10_000:
            with pytest.raises(ValueError, match="parallelism"):
                self.do(command)
        else:
            before = self.plain[kind].workers
            assert bool(self.do(command)) == (n != before)
            if n != before:
                self.plain[kind].operator = n

    @rule(kind=kinds, n=st.integers(0, 8))
    def follow_the_backlog(self, kind: str, n: int) -> None:
        command = rules.Adapt(kind, n)
        known = self.plain.get(kind)
        if known is None:
            with pytest.raises(UnknownMessageType):
                self.do(command)
            return
        self.do(command)
        if known.operator is None:
            low, high = known.code
            wanted = min(max(n, low), max(high, low)) if high else low
            if wanted != known.workers:
                known.elastic = wanted

    @rule(
        kind=kinds, changes=st.dictionaries(st.sampled_from(["retries", "timeout_s"]), st.sampled_from([1, 2.5, None]), min_size=1)
    )
    def configure(self, kind: str, changes: dict[str, Any]) -> None:
        command = rules.Configure(kind, changes)
        if kind not in self.plain:
            with pytest.raises(UnknownMessageType):
                self.do(command)
            return
        self.do(command)
        self.plain[kind].changes.update(changes)

    @rule(kind=kinds | st.just(""))
    def pause(self, kind: str) -> None:
        self.do(rules.Pause(kind))
        if kind:
            self.paused.add(kind)
        else:
            self.all_paused = True

    @rule(kind=kinds | st.just(""))
    def resume(self, kind: str) -> None:
        """One type goes on only if not all are stopped; all go on, whatever was stopped before."""
        self.do(rules.Resume(kind))
        if kind:
            self.paused.discard(kind)
        else:
            self.all_paused = False
            self.paused.clear()

    @rule()
    def start_again_from_a_snapshot(self) -> None:
        again = States.decode(self.replayed.encode())
        assert dump_handlers(again.handlers) == dump_handlers(self.state)
        self.replayed = again
        self.state = States.decode(self.replayed.encode()).handlers

    @invariant()
    def they_agree(self) -> None:
        found = {name: (h.parallelism, h.changes) for name, h in self.state.handlers.items()}
        assert found == {name: (plain.workers, plain.changes) for name, plain in self.plain.items()}
        for kind in TYPES:
            assert self.state.is_paused(kind) == (self.all_paused or kind in self.paused)

    @invariant()
    def live_state_is_the_fold(self) -> None:
        assert dump_handlers(self.replayed.handlers) == dump_handlers(self.state)

    @invariant()
    def elastic_workers_stay_within_what_the_code_allows(self) -> None:
        for name, handler in self.state.handlers.items():
            low, high = self.plain[name].code
            if handler.scaled is None:
                assert low <= handler.parallelism <= max(low, high)


Handlers.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
TestHandlers = Handlers.TestCase
