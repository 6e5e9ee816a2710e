"""Where a field of an event has to arrive, one place after the other; imported by `added_fields` once each class has one more.

What the field is called, and how it got there, is that module's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec
from hypothesis import Phase, find, settings

from perdure.events import commands, vocabulary
from perdure.events.codec import wire
from perdure.events.codec.snapshot import States, fold
from perdure.events.commands import Fail, Publish, Subscription
from perdure.events.commit_size import draft_bytes, measure
from perdure.events.errors import StoreUnavailable
from perdure.events.handlers.registry import Handler, HandlersState
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.dead_letters import DeadLettersState, replay_item
from perdure.events.queue.dead_letters import evolve as bury
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import expand
from tests.effort import examples
from tests.events.codec import test_wire as strategies

if TYPE_CHECKING:
    from collections.abc import Iterator

ev: Any = vocabulary
"""As it is now: type checkers do not know the added field."""
Draft: Any = commands.Draft

EXTRA = "the added field"
LIMITS = rules.Limits()
FIRST = settings(phases=[Phase.generate], database=None, deadline=None, max_examples=examples(200))
"""Any example will do."""


def example(cls: Any) -> Any:
    """Return an event with the field set."""
    return attrs.evolve(find(strategies.of(cls), lambda _: True, settings=FIRST), extra=EXTRA)


def published(number: int = 1, **more: Any) -> Any:
    return ev.Published(number, f"m{number}", "t", b"payload", extra=EXTRA, **more)


def through(events: list[Any]) -> list[ev.Event]:
    """Return events as they are read from the log, by what reads many at once."""
    body = wire.encode([(1, events)])
    found = [event for _, batch in wire.decode_runs(body, len(events)) for event in expand(batch)]
    assert found == [event for _, batch in wire.decode(body, len(events)) for event in batch]
    return found


def has(*things: Any) -> bool:
    return all(getattr(thing, "extra", None) == EXTRA for thing in things)


def places() -> Iterator[tuple[str, bool]]:
    """Return each place, and whether the field arrives there."""
    yield from _on_the_wire()
    yield from _in_the_queue()
    yield from _in_snapshots()
    for cls in ev.VOCABULARY.values():
        name = cls.__name__
        try:
            find(strategies.of(cls), lambda event: event.extra is not None, settings=FIRST)
        except Exception:  # noqa: BLE001 - whatever it is, there is no such example
            yield f"the strategies of the tests: {name}", False
        plain, long = attrs.evolve(example(cls), extra=None), attrs.evolve(example(cls), extra="x" * 500)
        yield f"the measure of {name}", measure([long]).bytes - measure([plain]).bytes >= 500
    draft = Draft("m1", "t", b"")
    yield "the measure of a draft", draft_bytes(draft._replace(extra="x" * 500)) - draft_bytes(draft) >= 500


def _on_the_wire() -> Iterator[tuple[str, bool]]:
    for cls in ev.VOCABULARY.values():
        event = example(cls)
        yield f"one {cls.__name__} on the wire", through([event]) == [event]
        yield f"many {cls.__name__} on the wire", through([event] * 5) == [event] * 5
        others = [attrs.evolve(event, extra=f"{n}") for n in range(3)]
        yield f"different {cls.__name__} on the wire", through(others) == others
    several: list[tuple[str, list[Any]]] = [
        ("plain messages", [published(n) for n in range(1, 6)]),
        ("plain leases", [ev.Leased(n, 1, extra=EXTRA) for n in range(1, 6)]),
        ("plain completions", [ev.Completed(n, 1, extra=EXTRA) for n in range(1, 6)]),
        ("extras", [published(extras=ev.Extras(extra=EXTRA))]),
    ]
    note = ev.FailureNote(1, 1, "E", "m", extra=EXTRA)
    inner = published(extras=ev.Extras(extra=EXTRA))
    several += [
        ("within DeadLettered", [ev.DeadLettered(1, inner, "r", 1, "E", "m", "", [note])]),
        ("within Replayed", [ev.Replayed(1, inner, 1, [note])]),
    ]
    for name, events in several:
        yield f"{name} on the wire", through(events) == events
    row = [*attrs.astuple(published(), recurse=False), "a field of tomorrow"]
    letter = [ev.Replayed.TAG, 1, 1, [1], [row], [0]]
    try:
        wire.decode(msgspec.msgpack.encode([[1, [letter]]]), 1)
    except StoreUnavailable:
        yield "a field of tomorrow is refused by name", True
    else:
        yield "a field of tomorrow is refused by name", False


def _in_the_queue() -> Iterator[tuple[str, bool]]:
    """Every step of a message: published by a draft, leased, failed, made a dead letter, replayed."""
    for name, more in (("plain but for it", {}), ("with a key", {"key": "k", "dedup": "replace"}), ("of a group", {"group": "g"})):
        state = QueueState()

        def do(events: list[Any], state: QueueState = state) -> list[Any]:
            evolve_all(state, events)
            return expand(events)

        draft = Draft("m1", "t", b"payload", extra=EXTRA, **more)
        accepted = do(rules.decide(state, Publish([draft]), 1, LIMITS))
        yield f"{name}: from a draft", has(accepted[0])
        message = state.by_id("m1")
        yield f"{name}: in the queue", message is not None and has(message.published)
        do(list(leasing.deliver(state, [Subscription("t", 5, 5, 0, 0)], 1)))
        ended = do(rules.decide(state, Fail(1, "m1", 1, "E", "m", "", 0), 2, LIMITS))
        letter = next(event for event in ended if isinstance(event, ev.DeadLettered))
        yield f"{name}: in its dead letter", has(letter.published)
        letters = DeadLettersState()
        bury(letters, letter, 2)
        item = replay_item(letters.letters[1], reset_retries=True)
        yield f"{name}: in what is replayed", has(item.published)
    state = QueueState()
    evolve_all(state, rules.decide(state, Publish([Draft("m1", "t", b"")]), 1, LIMITS))
    evolve_all(state, [ev.Leased(1, 1, extra=EXTRA)])
    message = state.look(1)
    yield "the lease of a plain message", message is not None and has(message.lease)


def _in_snapshots() -> Iterator[tuple[str, bool]]:
    states = States()
    handler = example(ev.HandlerRegistered)
    letter = ev.DeadLettered(9, published(9), "r", 1, "E", "m", "", [ev.FailureNote(1, 1, "E", "m", extra=EXTRA)])
    states.handlers = HandlersState({handler.type: Handler(handler)})
    events: list[Any] = [
        published(1, key="k", dedup="replace"),
        published(2),
        published(3, extras=ev.Extras(result_us=5, extra=EXTRA)),
        published(9),
        ev.Leased(2, 1, extra=EXTRA),
        letter,
        ev.ResultKept(8, "m8", b"", "", "", 99, extra=EXTRA),
    ]
    fold(states, [(1, events)], 1)
    found = States.decode(states.encode())
    messages = found.queue.messages
    yield "waiting messages in a snapshot", has(messages[1].published, messages[2].published, messages[3].published)
    yield "extras in a snapshot", has(messages[3].published.extras)
    yield "leases in a snapshot", has(messages[2].lease)
    yield "results in a snapshot", has(found.queue.results["m8"])
    kept = found.dead_letters.letters[9].event
    yield "dead letters in a snapshot", has(kept.published, *kept.failures)
    yield "handlers in a snapshot", has(found.handlers.handlers[handler.type].registered)
