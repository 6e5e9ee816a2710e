"""Law 7: what the queue holds follows what is alive. Each feature is used over and over beside one message that never ends.

The state is walked generically, so that a container that is added later is looked at too.
"""

from __future__ import annotations

from array import array
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States
from perdure.events.commands import (
    Cancel,
    CheckOut,
    Done,
    DoneRun,
    Draft,
    DraftRun,
    ExpireLease,
    Extend,
    Fail,
    Publish,
    Purge,
    Release,
    Replay,
    Subscription,
    Tick,
)
from perdure.events.queue import dead_letters, deadlines, leasing
from perdure.events.queue import decisions as rules
from perdure.events.queue import rates as rate_rules
from perdure.events.queue.dead_letters import DeadLettersState, death, replay_item
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.outcomes import complete_run
from perdure.events.queue.state import QueueState
from perdure.events.runs import LeasedRun, expand
from perdure.events.structures import message_block as block
from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable

Place = tuple[int, str, int]
"""Number, id and attempt."""

LIMITS = rules.Limits(results=5, held_keys=5, dead_letters=5)
DAY_US = 86_400_000_000
SOON_US = 1_000
ROUNDS = 240
PAYLOAD = 1_000


def _sizes(thing: Any) -> tuple[int, int]:
    """Count all entries of all containers that can be reached, and the bytes of all that hold payloads."""
    entries = payload = 0
    seen: set[int] = set()
    stack = [thing]
    while stack:
        one = stack.pop()
        if id(one) in seen or one is None or isinstance(one, (int, float, str, type)):
            continue
        seen.add(id(one))
        if isinstance(one, bytes):
            payload += len(one)
            continue
        if isinstance(one, dict):
            entries += len(one)
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, (list, set, tuple, deque, array)):
            entries += len(one)
            stack += one
        for kind in type(one).__mro__:
            names = kind.__dict__.get("__slots__", ())
            stack += [getattr(one, name) for name in ((names,) if isinstance(names, str) else names) if hasattr(one, name)]
        stack += vars(one).values() if hasattr(one, "__dict__") else ()
    return entries, payload


@attrs.define(eq=False)
class Bench:
    """A queue and its dead letters, with a clock and a message that never ends wherever one could stand in the way."""

    states: States = attrs.field(factory=lambda: States(QueueState(finished_max=8)))
    now_us: int = 1_000_000
    serial: int = 0

    @property
    def queue(self) -> QueueState:
        return self.states.queue

    @property
    def letters(self) -> DeadLettersState:
        return self.states.dead_letters

    def take(self, events: list[Any]) -> list[Any]:
        for event in events:
            evolve(self.queue, event)
            for single in expand([event]):
                dead_letters.evolve(self.letters, single, self.now_us)
        return events

    def do(self, command: object) -> list[Any]:
        return self.take(rules.decide(self.queue, command, self.now_us, LIMITS))

    def publish(self, kind: str = "line", **options: Any) -> str:
        self.serial += 1
        ident = f"id{self.serial}"
        key, dedup = options.pop("key", None), options.pop("dedup", None)
        draft = Draft(ident, kind, bytes([self.serial % 256]) * PAYLOAD, key, dedup, **options)
        self.do(Publish([draft]))
        return ident

    def number(self, ident: str) -> int:
        return self.queue.ids.get(ident)

    def deliver(self, kind: str = "work", *, lease_us: int = 0, window: int = 3, interval_us: int = 0) -> list[Place]:
        subscription = Subscription(kind, window, window, 1, lease_us, interval_us, 5 if interval_us else 1)
        leases: Any = leasing.deliver(self.queue, [subscription], self.now_us)
        self.take([*leases])
        if leases and interval_us:
            self.take([rate_rules.pace(self.queue, subscription, 1, self.now_us)])
        places = []
        for lease in expand(leases):
            assert isinstance(lease, ev.Leased)
            message = self.queue.look(lease.number)
            assert message is not None
            places.append((lease.number, message.published.id, lease.attempt))
        return places

    def time_passes(self, us: int) -> None:
        self.now_us += us
        for late in deadlines.overdue(self.queue, self.now_us):
            assert late.lease is not None
            if late.published.id != "head":
                self.do(ExpireLease(late.number, late.published.id, late.lease.attempt, "late"))
        self.take(deadlines.due(self.queue, self.now_us, LIMITS))

    def cancel(self, ident: str) -> None:
        assert self.do(Cancel(ident, "off"))

    def finish(self, places: list[Place]) -> None:
        for place in places:
            self.do(Done(*place))


def ttl(bench: Bench) -> None:
    bench.publish(expires_us=bench.now_us + SOON_US)
    bench.publish("work", expires_us=bench.now_us + DAY_US)
    bench.finish(bench.deliver())
    bench.cancel(bench.publish(expires_us=bench.now_us + DAY_US))
    bench.time_passes(SOON_US)


def replace(bench: Bench) -> None:
    bench.publish(key="k", dedup="replace")


def replace_with_others_in_between(bench: Bench) -> None:
    bench.publish(key="k", dedup="replace")
    bench.cancel(bench.publish())


def replaced_while_out(bench: Bench) -> None:
    bench.publish("work", key="k", dedup="replace")
    (place,) = bench.deliver()
    bench.publish("work", key="k", dedup="replace")
    bench.do(Release(*place, "no"))
    bench.finish(bench.deliver())


def delay(bench: Bench) -> None:
    bench.cancel(bench.publish(due_us=bench.now_us + DAY_US))
    bench.publish("work", due_us=bench.now_us + SOON_US)
    bench.time_passes(SOON_US)
    bench.finish(bench.deliver())


def window(bench: Bench) -> None:
    bench.publish("work", key=f"k{bench.serial}", dedup="replace", extras=ev.Extras(window_us=DAY_US))
    bench.publish("work", key=f"k{bench.serial}", dedup="replace", extras=ev.Extras(window_us=SOON_US))
    bench.finish(bench.deliver())
    bench.time_passes(SOON_US)


def results(bench: Bench) -> None:
    bench.publish("work", extras=ev.Extras(result_us=DAY_US))
    bench.publish("work", extras=ev.Extras(result_us=SOON_US))
    bench.finish(bench.deliver())
    bench.time_passes(SOON_US)


def slots(bench: Bench) -> None:
    extras = ev.Extras(key_parallelism=1)
    bench.cancel(bench.publish("work", key="busy", dedup="append", extras=extras))
    bench.cancel(bench.publish("work", key="busy", dedup="append", extras=extras, due_us=bench.now_us + DAY_US))
    bench.publish("work", key=f"k{bench.serial}", dedup="append", extras=extras)
    bench.publish("work", key=f"k{bench.serial}", dedup="append", extras=extras)
    bench.finish(bench.deliver())
    bench.finish(bench.deliver())


def groups(bench: Bench) -> None:
    bench.cancel(bench.publish("work", group="busy"))
    bench.publish("work", group="g")
    bench.publish("work", group="g")
    (place,) = bench.deliver()
    bench.do(Fail(*place, "E", "m", "t", 0, "never"))
    bench.do(Replay([replay_item(letter, reset_retries=True) for letter in bench.letters.letters.values()]))
    bench.finish(bench.deliver())
    bench.finish(bench.deliver())


def priorities(bench: Bench) -> None:
    bench.cancel(bench.publish(priority=bench.serial % 7))
    bench.publish("work", priority=bench.serial)
    bench.finish(bench.deliver())


def manual_leases(bench: Bench) -> None:
    bench.publish("shop")
    bench.publish("shop", key="k", dedup="append")
    for holder in ("one", "two"):
        (lease,) = bench.do(CheckOut("shop", f"{holder}{bench.serial}", DAY_US, 1))
        place = (lease.number, bench.queue.messages[lease.number].published.id, 1)
        for step in range(3):
            bench.do(Extend(*place, DAY_US + step, 10.0, "note"))
        bench.do(Done(*place))
    head = bench.queue.messages[bench.number("head of shop")]
    bench.do(Extend(head.number, head.published.id, 1, DAY_US))
    bench.time_passes(1)


def cancelled_plain(bench: Bench) -> None:
    for ident in [bench.publish() for _ in range(5)]:
        bench.cancel(ident)


def cancelled_while_out(bench: Bench) -> None:
    bench.publish("work")
    ((_, ident, _),) = bench.deliver(lease_us=DAY_US)
    bench.cancel(ident)


def retries(bench: Bench) -> None:
    bench.publish("work")
    (place,) = bench.deliver(lease_us=DAY_US)
    bench.do(Fail(*place, "E", "m", "t", SOON_US))
    bench.time_passes(SOON_US)
    (place,) = bench.deliver(lease_us=DAY_US)
    bench.do(Fail(*place, "E", "m" * PAYLOAD, "t", SOON_US))


def lost_leases(bench: Bench) -> None:
    bench.publish("work")
    bench.deliver(lease_us=SOON_US)
    bench.time_passes(SOON_US)
    bench.finish(bench.deliver(lease_us=DAY_US))


def purged_letters(bench: Bench) -> None:
    bench.publish("work")
    (place,) = bench.deliver()
    bench.do(Fail(*place, "E", "m", "t", 0, "never"))
    if len(bench.letters.letters) > 3:
        bench.do(Purge([death(letter.event) for letter in bench.letters.letters.values()], "all"))


def quarantined(bench: Bench) -> None:
    ident = bench.publish("lonely", key="k", dedup="append")
    for _ in range(2):
        bench.deliver("lonely")
        bench.take([ev.LeaseExpired(bench.number(ident), bench.queue.messages[bench.number(ident)].attempts + 1, "dead", True, 1)])
    bench.cancel(ident)


def schedules(bench: Bench) -> None:
    bench.serial += 1
    draft = Draft(f"tick{bench.serial}", "work", b"t" * PAYLOAD, None, None)
    draft = Draft(f"tick{bench.serial}", "work", b"t" * PAYLOAD, None, None)
    bench.do(Tick("s", bench.now_us, draft, after_us=bench.queue.ticks.get("s", 0)))
    bench.finish(bench.deliver())
    bench.now_us += 1


def rates(bench: Bench) -> None:
    bench.publish("work")
    bench.finish(bench.deliver(interval_us=1))
    bench.now_us += 10


def plain_runs(bench: Bench) -> None:
    """Ids that perdure made, which go on from one publish to the next; types in turns."""
    for kind in ("work", "work", "other"):
        ids = IdRun("01234567-89ab-7000-8000-", bench.serial + 1, 5)
        bench.serial += 5
        bench.do(Publish(DraftRun(kind, ids, [b"r" * PAYLOAD] * 5), fresh=True))
        leases = leasing.deliver(bench.queue, [Subscription(kind, 50, 50, 1, DAY_US)], bench.now_us)
        bench.take([*leases])
        numbers = [number for lease in leases if isinstance(lease, LeasedRun) for number in lease.numbers]
        completed = complete_run(bench.queue, DoneRun(numbers, [bench.queue.leased[number] for number in numbers]))  # type: ignore[misc]  # plain: lease batches
        assert completed is not None
        bench.take(completed)


def types_in_turns(bench: Bench) -> None:
    bench.publish("work")
    bench.cancel(bench.publish("line"))
    bench.publish("work", key="k", dedup="append")
    bench.finish(bench.deliver())


FEATURES: list[Callable[[Bench], None]] = [
    ttl,
    replace,
    replace_with_others_in_between,
    replaced_while_out,
    delay,
    window,
    results,
    slots,
    groups,
    priorities,
    manual_leases,
    cancelled_plain,
    cancelled_while_out,
    retries,
    lost_leases,
    purged_letters,
    quarantined,
    schedules,
    rates,
    plain_runs,
    types_in_turns,
]


def heads() -> Bench:
    """One message that is ready, one with a worker, one with a consumer, one that holds its group, and one that holds a slot."""
    bench = Bench()
    bench.publish("line")
    for draft in (
        Draft("head", "work", b"h", None, None),
        Draft("head of group", "work", b"h", None, None, group="busy"),
        Draft("head of key", "work", b"h", "busy", "append", extras=ev.Extras(key_parallelism=1)),
        Draft("head of shop", "shop", b"h", None, None),
    ):
        bench.do(Publish([draft]))
        if draft.type == "shop":
            bench.do(CheckOut("shop", "forever", DAY_US, 1))
        else:
            bench.deliver(window=draft.type == "work" and len(bench.queue.leased) + 1)
    # They do not count for the windows of what is delivered beside them.
    bench.queue.by_type["work"].out = 0
    return bench


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("restarts", [False, True], ids=["one run", "with a restart"])
def test_memory_follows_what_is_live(feature: Callable[[Bench], None], restarts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block, "BLOCK_MESSAGES", 8)  # or what shares a block with a head would fill one of a thousand first
    bench = heads()

    def rounds(n: int) -> tuple[int, int, int]:
        most_entries = most_bytes = 0
        for i in range(n):
            feature(bench)
            if i >= n - 16:  # sizes go up and down between two compactions
                entries, payload = _sizes([bench.queue, bench.letters])
                most_entries, most_bytes = max(most_entries, entries), max(most_bytes, payload)
        return bench.queue.live, most_entries, most_bytes

    live, entries, payload = rounds(ROUNDS // 4)
    if restarts:
        bench.states = States.decode(bench.states.encode())
        bench.queue.by_type["work"].out = 0
    live_later, entries_later, payload_later = rounds(ROUNDS)
    assert live_later == live
    assert payload_later <= payload + 2 * PAYLOAD, "what has ended holds no payload"
    assert entries_later <= entries + 60, f"{entries} entries became {entries_later} with {live} messages alive"


@pytest.mark.parametrize("feature", [ttl, delay, window, slots])
def test_soak_notices_what_is_never_removed(feature: Callable[[Bench], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: deadlines stay until their time, as they once did."""
    monkeypatch.setattr(HeapSet, "discard", lambda *_: None)
    bench = heads()
    sizes = []
    for _ in range(2):
        for _ in range(50):
            with suppress(KeyError):  # what is gone may be asked for
                feature(bench)
        sizes.append(_sizes(bench.queue)[0])
    assert sizes[1] > sizes[0] + 60
