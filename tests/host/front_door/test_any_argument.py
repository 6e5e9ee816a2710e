"""Any value in place of any argument of the front door: refused by its name with nothing written, or taken.

Each call gets each value of `VALUES`. What a check lets through by mistake fails in a thread of the system, which ends it; so the
system is asked at the end.
"""

# ruff: noqa: PT017 - classes that raise, and errors of any kind

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@perdure.message(name="any.Order")
@attrs.frozen
class Order:
    number: int


class Text(str):
    """Raises whatever is asked of it. A plain text is taken from it without asking."""

    __slots__ = ()

    def __str__(self) -> str:
        raise KeyError("str")

    __repr__ = __str__

    def __len__(self) -> int:
        raise KeyError("len")

    def __eq__(self, other: object) -> bool:
        raise KeyError("eq")

    def __hash__(self) -> int:
        raise KeyError("hash")


class Number(float):
    """A float that raises whatever is asked of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise KeyError("repr")

    def __eq__(self, other: object) -> bool:
        raise KeyError("eq")

    def __lt__(self, other: object) -> bool:
        raise KeyError("lt")

    __gt__ = __le__ = __ge__ = __lt__
    __hash__ = None  # type: ignore[assignment]  # so it has none


class Thing:
    """Raises whatever is asked of it, as an array of numpy does when it is compared."""

    def __repr__(self) -> str:
        raise KeyError("repr")

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    def __len__(self) -> int:
        raise KeyError("len")

    __hash__ = None  # type: ignore[assignment]  # so it has none


class NoTime(dt.tzinfo):
    def tzname(self, _when: dt.datetime | None) -> str:
        raise KeyError("name")

    def dst(self, _when: dt.datetime | None) -> dt.timedelta:
        raise KeyError("dst")

    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
        raise KeyError("zone")


class Word(enum.StrEnum):
    A = "a"


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    return deep


VALUES: dict[str, Any] = {
    "None": None,
    "True": True,
    "negative": -1,
    "zero": 0,
    "huge": 10**400,
    "too large": 2**64,
    "nan": math.nan,
    "infinite": math.inf,
    "empty": "",
    "text": "a",
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "long": "x" * 100_000,
    "bytes": b"abc",
    "list": [1],
    "dict": {"a": 1},
    "other keys": {1: 2},
    "class": int,
    "member": Word.A,
    "decimal": decimal.Decimal("sNaN"),
    "longest": dt.timedelta.max,
    "naive": dt.datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
    "last moment": dt.datetime.max.replace(tzinfo=dt.UTC),
    "beyond the last moment": dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=14))),
    "bad zone": dt.datetime(2026, 1, 1, tzinfo=NoTime()),
    "raising text": Text("a"),
    "raising number": Number(2.0),
    "raising thing": Thing(),
    "deep": _deep(),
}

PUBLISH = [
    "key",
    "id",
    "correlation_id",
    "delay",
    "at",
    "priority",
    "ttl",
    "group",
    "headers",
    "dedup",
    "dedup_window",
    "debounce",
    "keep_result",
    "subject",
]
REFUSED = (perdure.PerdureError, ValueError, TypeError)
NOT_HERE = (perdure.UnknownMessage, perdure.UnknownMessageType, perdure.StoreUnavailable, perdure.LeaseLost, TimeoutError)
"""Answers about a value that could be right."""


@pytest.fixture(scope="module")
def system() -> Iterator[perdure.System]:
    quiet = perdure.Options(log_failures=None, log_dead_letters=None)
    system = perdure.System(store=perdure.MemoryStore(), options=quiet)
    with system:
        system.publish_many([Order(n) for n in range(200)])
        _letter(system)
        yield system
        assert system.running
        assert "queue" in system.actors
        assert "journal" not in system.admin.metrics().runtime_counters


def _delivery(system: perdure.System) -> perdure.Delivery[Order]:
    delivery = system.checkout(Order)
    assert delivery is not None
    return delivery


def _letter(system: perdure.System) -> str:
    delivery = _delivery(system)
    delivery.reject("no")
    return delivery.id


def _acting(system: perdure.System, principal: Any = "ann", **texts: Any) -> None:
    with perdure.acting_as(principal, **texts):
        system.admin.metrics()


def _publish_with(name: str, system: perdure.System, value: Any) -> str:
    return system.publish(Order(1), **_keyed(name, value))


CALLS: dict[str, Callable[[perdure.System, Any], object]] = {
    **{f"publish {name}": partial(_publish_with, name) for name in PUBLISH},
    "publish message": lambda s, v: s.publish(v),
    "publish_many messages": lambda s, v: s.publish_many(v),
    "result id": lambda s, v: s.result(v, timeout=0),
    "state id": lambda s, v: s.state(v),
    "cancel id": lambda s, v: s.cancel(v),
    "checkout type": lambda s, v: s.checkout(v),
    "checkout lease": lambda s, v: s.checkout(int, lease=v),
    "checkout retries": lambda s, v: s.checkout(int, retries=v),
    "extend seconds": lambda s, v: _delivery(s).extend(v),
    "heartbeat percent": lambda s, v: _delivery(s).heartbeat(v),
    "heartbeat note": lambda s, v: _delivery(s).heartbeat(1, v),
    "scale type": lambda s, v: s.admin.scale(v, 1),
    "run_now id": lambda s, v: s.admin.run_now(v),
    "run_now schedule": lambda s, v: s.admin.run_now(schedule=v),
    "count_where where": lambda s, v: s.admin.count_where(v),
    "count_where upto": lambda s, v: s.admin.count_where("id=none", upto=v),
    "cancel_where where": lambda s, v: s.admin.cancel_where(v, timeout=0),
    "cancel_where timeout": lambda s, v: s.admin.cancel_where("id=none", timeout=v),
    "cancel_where progress": lambda s, v: s.admin.cancel_where("id=none", progress=v),
    "kill name": lambda s, v: s.actors.kill(v),
    "list type": lambda s, v: s.dead_letters.list(type=v),
    "list reason": lambda s, v: s.dead_letters.list(reason=v),
    "list limit": lambda s, v: s.dead_letters.list(limit=v),
    "list before": lambda s, v: s.dead_letters.list(before=v),
    "list where": lambda s, v: s.dead_letters.list(where=v),
    "get id": lambda s, v: s.dead_letters.get(v),
    "replay reset_retries": lambda s, v: s.dead_letters.replay(_letter(s), v),
    "replay message": lambda s, v: s.dead_letters.replay(_letter(s), message=v),
    "replay_all reset_retries": lambda s, v: s.dead_letters.replay_all(type="none", reset_retries=v),
    "replay_all dry_run": lambda s, v: s.dead_letters.replay_all(type="none", dry_run=v),
    "purge older_than": lambda s, v: s.dead_letters.purge(v, type="none"),
    "replay_where where": lambda s, v: s.dead_letters.replay_where(v, timeout=0),
    "replay_where reset_retries": lambda s, v: s.dead_letters.replay_where("id=none", reset_retries=v),
    "edit_where changes": lambda s, v: s.dead_letters.edit_where("id=none", v),
    "edit_where changes of a value": lambda s, v: s.dead_letters.edit_where("id=none", {"number": v}),
    "replay_where id": lambda s, v: s.dead_letters.replay_where("id=none", timeout=0, id=v),
    "cancel_where id": lambda s, v: s.admin.cancel_where("id=none", timeout=0, id=v),
    "bulk id": lambda s, v: s.dead_letters.bulk(v),
    "events since": lambda s, v: list(s.audit.events(since=v)),
    "events message_id": lambda s, v: list(s.audit.events(message_id=v)),
    "search where": lambda s, v: list(s.audit.search(v)),
    "timeline message_id": lambda s, v: s.audit.timeline(v),
    "timeline progress": lambda s, v: s.audit.timeline(s.publish(Order(1)), progress=v),
    "state_at when": lambda s, v: s.audit.state_at(v),
    "verify head": lambda s, v: s.audit.verify(head=v),
    "acting_as principal": _acting,
    "acting_as reason": lambda s, v: _acting(s, reason=v),
    "Outbox system": lambda _s, v: perdure.Outbox(sqlite3.connect(":memory:"), system=v),
    "Outbox options": lambda _s, v: perdure.Outbox(sqlite3.connect(":memory:"), options=v),
    "OutboxRelay system": lambda _s, v: perdure.OutboxRelay(v, lambda: None),
    "Handlers.handler type": lambda _s, v: perdure.Handlers().handler(v)(lambda _message: None),
    "message upcasters": lambda _s, v: perdure.message(name="any.Other", version=2, upcasters=v),
    "message of no class": lambda _s, v: perdure.message(name="any.Other")(v) if v is not int else None,
    "System registry": lambda _s, v: perdure.System(store=perdure.MemoryStore(), registry=v),
    "Options history": lambda _s, v: perdure.Options(history=v),
    "CloudPickle unbound": lambda _s, v: perdure.CloudPickle(key=b"x" * 16, unbound=v),
}
NAMES = {"list": "type reason limit before where", "message": "message type upcasters"}


def _keyed(name: str, value: Any) -> dict[str, Any]:
    return {"key": "k", name: value} if name in ("dedup", "dedup_window", "debounce") else {name: value}


@pytest.mark.parametrize("call", CALLS)
def test_any_value_is_taken_or_refused_by_its_name(system: perdure.System, call: str) -> None:
    name = call.split()[1].removesuffix("s")
    for told, value in VALUES.items():
        if name == "progres" and callable(value):
            continue  # how many arguments a function takes is its own affair
        before = system.admin.metrics()
        try:
            CALLS[call](system, value)
        except NOT_HERE:
            pass
        except REFUSED as error:
            after = system.admin.metrics()
            assert name in str(error) or call == "message of no class", f"{told}: {error!r}"
            assert "bug in perdure" not in str(error), told
            assert (after.cancelled, after.purged, after.replayed) == (before.cancelled, before.purged, before.replayed), told
        except KeyError as error:
            assert call == "kill name", f"{told}: {error!r}"
    assert system.running


@pytest.mark.parametrize("name", ["source", "target", "check", "progress"])
def test_a_backup_names_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with perdure.System(tmp_path / "log") as system:
        system.publish(Order(1))
    given: dict[str, Any] = {"source": tmp_path / "log", "target": tmp_path / "backup"}
    for told in ("True", "negative", "empty", "NUL", "surrogate", "bytes", "raising thing", "deep"):
        if (name, told) != ("check", "True"):
            with pytest.raises((TypeError, ValueError), match=name):
                perdure.backup(**{**given, name: VALUES[told]})
    assert {path.name for path in tmp_path.iterdir()} == {"log"}


def test_a_long_expression_is_refused_whole_and_cancels_nothing() -> None:
    """It was cut to its last 4,000 characters on its way, and what was left of it meant other messages too."""
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.publish_many([Order(n) for n in range(3)])
        tail = " ".join(f"key!=k{'x' * 93}" for _ in range(40))
        where = f"type=nothing.Such {tail}"[: len("type=nothing.Such ") + 4_000]
        with pytest.raises(perdure.InvalidMessage, match=r"^where: an expression of at most 4,000 characters"):
            system.admin.cancel_where(where)
        with pytest.raises(perdure.InvalidMessage, match=r"^where: "):
            system.dead_letters.purge_where(where)
        assert system.admin.metrics().ready == 3


def test_a_drain_that_times_out_says_so_also_of_a_timedelta() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.publish(Order(1))
        with pytest.raises(TimeoutError, match=r"^after 0\.01 s there are still 1 ready"):
            system.drain(timeout=dt.timedelta(seconds=0.01))  # type: ignore[arg-type]  # wrong on purpose
