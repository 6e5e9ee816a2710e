"""The actions of a scenario, which are no faults: publishing, consuming by hand, operating. One entry for each kind.

The faults are in `faults`; what handlers do is in `handlers`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.scenarios.messages import DIES, HOWS, TYPES, Manual

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from perdure.chaos.scenarios.system_under_test import SystemUnderTest

    Draw = Callable[[random.Random], dict[str, Any]]
    Do = Callable[..., None]

__all__ = ["ACTIONS", "Action", "draw_nothing", "publish_many"]

SELDOM = 0.2
KEYED = ("task", "bulk", "manual")
"""Types whose messages may get a deduplication policy."""
DEBOUNCED = ("plain", "metered", "crowd")
"""Types whose messages may be debounced. Not notes: a debounced message replaces others, and evades the limit of their key."""


@attrs.frozen
class Action:
    """One kind of step: `draw` returns its keywords as plain data, `do` takes the system under test and those keywords."""

    weight: int
    """How often it is drawn, relative to the other kinds."""
    draw: Draw
    do: Do


def draw_nothing(_rng: random.Random) -> dict[str, Any]:
    """Return no keywords."""
    return {}


# --- publishing ----------------------------------------------------------------------------------------------------------


def _draw_message(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(("task", "task", "task", "plain", "plain", "note", "manual", "bulk", "metered", "crowd"))
    how: dict[str, Any] = {"kind": kind, "how": rng.choice(HOWS)}
    options: dict[str, Any] = {}
    if rng.random() < 0.35:
        options["key"] = f"k{rng.randrange(2)}"
        if kind in KEYED:
            options["dedup"] = rng.choice(("replace", "replace", "reject", "append"))
            if options["dedup"] != "append" and rng.random() < SELDOM:
                options["dedup_window"] = 20.0
        elif kind in DEBOUNCED and rng.random() < SELDOM:
            options["debounce"] = 5.0
    if rng.random() < SELDOM:
        options["group"] = f"g{rng.randrange(2)}"
    if "debounce" not in options and rng.random() < SELDOM:
        options["delay"] = rng.choice((0.5, 20.0, 4_000.0))
    if rng.random() < SELDOM:
        options["ttl"] = rng.choice((1.0, 60.0))
    if rng.random() < SELDOM:
        options["priority"] = rng.choice((-1, 5))
    if rng.random() < SELDOM:
        options["keep_result"] = 30.0
    return {**how, "options": options}


def _publish(sut: SystemUnderTest, kind: str, how: str, options: dict[str, Any]) -> None:
    content, ident = sut.publisher_log.new_message(TYPES[kind], how, options)
    sut.publisher_log.publish([ident], lambda: sut.front.publish(content, id=ident, **options))


def _draw_submits(rng: random.Random) -> dict[str, Any]:
    messages = [_draw_message(rng) for _ in range(rng.randrange(2, 6))]
    if rng.random() < SELDOM:  # all of one key, so that each replaces the one before in the same frame
        options = {"key": "k0", "dedup": "replace", "keep_result": 30.0}
        messages = [{"kind": "task", "how": one["how"], "options": options} for one in messages]
    return {"messages": messages}


def _submit(sut: SystemUnderTest, messages: list[dict[str, Any]]) -> None:
    """Submit several messages without waiting, so that one frame contains several requests."""
    for one in messages:
        content, ident = sut.publisher_log.new_message(TYPES[one["kind"]], one["how"], one["options"])
        sut.publisher_log.submit(ident, partial(sut.front.submit, content, id=ident, **one["options"]))


def _draw_submit_batch(rng: random.Random) -> dict[str, Any]:
    kinds = rng.choice((("plain",), ("plain", "task"), ("metered",), ("crowd", "plain")))
    return {
        "kinds": [rng.choice(kinds) for _ in range(rng.randrange(2, 25))],
        "how": rng.choice([how for how in HOWS if how != DIES]),  # a process death for each attempt of each would take days
        "pause": [rng.randrange(25), rng.randrange(8)],
    }


def _submit_batch(sut: SystemUnderTest, kinds: list[str], how: str, pause: tuple[int, int]) -> None:
    """Submit several messages without options, which share one submit batch. Before one of them the actors take some turns."""
    before, turns = pause
    for index, kind in enumerate(kinds):
        if index == before:
            _run_turns(sut, turns)
        content, _ = sut.publisher_log.new_message(TYPES[kind], how, {})
        sut.publisher_log.submit(None, partial(sut.front.submit, content))


def _draw_many(rng: random.Random) -> dict[str, Any]:
    return {"count": rng.randrange(1, 25), "kind": rng.choice(("task", "plain", "plain")), "how": rng.choice(HOWS)}


def publish_many(sut: SystemUnderTest, count: int, kind: str = "task", how: str = "done") -> None:
    """Publish several messages in one commit, and wait for it while the actors go on."""
    contents = [sut.publisher_log.new_message(TYPES[kind], how, {})[0] for _ in range(count)]
    sut.publisher_log.publish([], lambda: sut.front.publish_many(contents))


def _publish_again(sut: SystemUnderTest, pick: int) -> None:
    """Scenario 7: publish under a known id. That adds nothing, whatever became of the first message; it may still be spooled."""
    acknowledged = sut.publisher_log.acknowledged
    if acknowledged:
        ident = _pick_one(sorted(acknowledged), pick)
        content = sut.publisher_log.messages.get(ident)
        if content is not None:
            moments, clock = sut.publisher_log.moments, sut.executor.clock
            moments.begin([ident], clock)  # its id may be forgotten by now: then it is published anew
            try:
                sut.front.publish(content, id=ident, **sut.publisher_log.options[ident])
            finally:
                moments.end([ident], clock)


def _draw_outbox(rng: random.Random) -> dict[str, Any]:
    messages = []
    for _ in range(rng.randrange(1, 5)):
        drawn = _draw_message(rng)
        # A row's times come from the real clock as the host writes it, and a message refused for its key would wait as long.
        options = {k: v for k, v in drawn["options"].items() if k in {"key", "group", "priority", "keep_result"}}
        messages.append({**drawn, "options": options})
    return {"messages": messages, "commit": rng.random() < 0.8, "notify": rng.random() < 0.5}


def _outbox(sut: SystemUnderTest, messages: list[dict[str, Any]], commit: bool, notify: bool) -> None:
    """Write messages into the host's database. The relay publishes them if the transaction commits."""
    written = []
    for one in messages:
        content, ident = sut.publisher_log.new_message(TYPES[one["kind"]], one["how"], one["options"])
        written.append((content, ident, one["options"]))
    sut.database.write(written, commit=commit)
    if notify and sut.database.relay is not None:
        sut.database.relay.notify()


def _call(sut: SystemUnderTest, how: str, seconds: float) -> None:
    """Publish and wait for the result."""
    content, ident = sut.publisher_log.new_message(TYPES["task"], how, {"keep_result": 300.0})
    sut.publisher_log.uncertain.add(ident)
    sut.check_result(ident, lambda: sut.front.call(content, id=ident, timeout=seconds))


# --- consuming by hand ---------------------------------------------------------------------------------------------------


def _checkout(sut: SystemUnderTest) -> None:
    delivery = sut.front.checkout(Manual, lease=10.0)
    if delivery is not None:
        sut.take_delivery(delivery)


def _settle(sut: SystemUnderTest, pick: int, how: str) -> None:
    if not sut.deliveries:
        return
    delivery = _pick_one(sut.deliveries, pick)
    match how:
        case "extend":
            delivery.extend(5.0)
            return
        case "heartbeat":
            delivery.heartbeat(50.0, "half")
            return
    sut.deliveries.remove(delivery)
    match how:
        case "ack":
            delivery.ack()
            sut.publisher_log.acked.add((delivery.id, delivery.fencing_token))
        case "requeue":
            delivery.requeue("as the step says")
        case "reject":
            delivery.reject("as the step says")


def _cancel(sut: SystemUnderTest, pick: int) -> None:
    if sut.publisher_log.acknowledged:
        sut.front.cancel(_pick_one(sorted(sut.publisher_log.acknowledged), pick))


def _result(sut: SystemUnderTest, pick: int) -> None:
    if sut.publisher_log.with_result:
        ident = _pick_one(sorted(sut.publisher_log.with_result), pick)
        sut.check_result(ident, lambda: sut.front.result(ident, timeout=1.0))


# --- operating -----------------------------------------------------------------------------------------------------------


def _pause(sut: SystemUnderTest, kind: str) -> None:
    sut.system.admin.pause(TYPES[kind])
    sut.handler_log.paused.add(TYPES[kind])


def _resume(sut: SystemUnderTest) -> None:
    sut.resume()


def _scale(sut: SystemUnderTest, kind: str, n: int) -> None:
    sut.system.admin.scale(TYPES[kind], n)


def _configure(sut: SystemUnderTest, retries: int) -> None:
    sut.system.admin.configure(TYPES["task"], retries=retries)


def _replay(sut: SystemUnderTest, pick: int, reset: bool) -> None:
    letters = sut.dead_letters()
    if letters:
        sut.front.dead_letters.replay(_pick_one(letters, pick).id, reset_retries=reset)


def _purge(sut: SystemUnderTest) -> None:
    sut.dead_letters()
    sut.system.dead_letters.purge()


def _draw_bulk_act(rng: random.Random) -> dict[str, Any]:
    where = rng.choice(("priority>-9", f"type=scenario.{rng.choice(HANDLED)}", f"payload.how={rng.choice(HOWS)}", "key=k0"))
    return {"act": rng.choice(("replay", "purge", "edit", "cancel", "cancel")), "where": where}


def _bulk_act(sut: SystemUnderTest, act: str, where: str) -> None:
    """Begin a bulk act; its runner carries it out while the scenario goes on. An edit leaves each message equal."""
    letters = sut.front.dead_letters
    match act:
        case "replay":
            letters.replay_where(where, timeout=0)
        case "purge":
            letters.purge_where(where, timeout=0)
        case "edit":
            letters.edit_where(f"{where} payload.how=done", {"how": "done"}, timeout=0)
        case "cancel":
            sut.front.admin.cancel_where(where, timeout=0)


def _snapshot(sut: SystemUnderTest) -> None:
    sut.front.admin.snapshot()


def _run_turns(sut: SystemUnderTest, turns: int) -> None:
    for _ in range(turns):
        sut.system.step()


def _pick_one(things: list[Any], pick: int) -> Any:
    return things[pick % len(things)]


def _draw_pick(rng: random.Random) -> dict[str, Any]:
    return {"pick": rng.randrange(1000)}


HANDLED = ("task", "plain", "note", "bulk", "metered", "crowd")
SETTLEMENTS = ("ack", "ack", "requeue", "reject", "extend", "heartbeat")

ACTIONS: dict[str, Action] = {
    "publish": Action(8, _draw_message, _publish),
    "submit": Action(4, _draw_submits, _submit),
    "submit_batch": Action(2, _draw_submit_batch, _submit_batch),
    "publish_many": Action(2, _draw_many, publish_many),
    "outbox": Action(2, _draw_outbox, _outbox),
    "call": Action(1, lambda rng: {"how": rng.choice(HOWS), "seconds": rng.choice((1.0, 60.0))}, _call),
    "publish_again": Action(1, _draw_pick, _publish_again),
    "checkout": Action(3, draw_nothing, _checkout),
    "settle": Action(3, lambda rng: {**_draw_pick(rng), "how": rng.choice(SETTLEMENTS)}, _settle),
    "cancel": Action(1, _draw_pick, _cancel),
    "result": Action(1, _draw_pick, _result),
    "pause": Action(1, lambda rng: {"kind": rng.choice(HANDLED)}, _pause),
    "resume": Action(1, draw_nothing, _resume),
    "scale": Action(1, lambda rng: {"kind": rng.choice(HANDLED), "n": rng.randrange(1, 5)}, _scale),
    "configure": Action(1, lambda rng: {"retries": rng.randrange(4)}, _configure),
    "replay": Action(2, lambda rng: {**_draw_pick(rng), "reset": rng.random() < 0.5}, _replay),
    "purge": Action(1, draw_nothing, _purge),
    "bulk_act": Action(1, _draw_bulk_act, _bulk_act),
    "snapshot": Action(1, draw_nothing, _snapshot),
    "advance": Action(
        4, lambda rng: {"seconds": rng.choice((0.1, 1.0, 5.0, 45.0))}, lambda sut, seconds: sut.system.advance(seconds)
    ),
    "run_turns": Action(4, lambda rng: {"turns": rng.randrange(30)}, _run_turns),
    "check_state": Action(1, draw_nothing, lambda sut: sut.check_state()),
}
