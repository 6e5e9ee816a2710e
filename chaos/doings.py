"""What is done in a night that is no trouble: publishing, consuming, operating. One entry a kind: how often, how drawn, how done.

The troubles are in `troubles`; what handlers do is in `night_work`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.night_work import DIES, HOWS, TYPES, Parcel

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from perdure.chaos.night import Night

    Draw = Callable[[random.Random], dict[str, Any]]
    Do = Callable[..., None]

__all__ = ["DOINGS", "Doing", "nothing", "publish_many"]

SHORT = 0.2
KEYED = ("task", "bulk", "parcel")
BURSTS = ("plain", "metered", "crowd")
"""Of these the last of a burst may be asked for. Not of notes: a debounced one replaces others, and has no part in their limit."""


@attrs.frozen
class Doing:
    """One kind of step: `draw` gives its keywords as plain data, `do` takes a night and those."""

    weight: int
    draw: Draw
    do: Do


def nothing(_chance: random.Random) -> dict[str, Any]:
    """Draw no keywords."""
    return {}


# --- publishing ----------------------------------------------------------------------------------------------------------


def _draw_message(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(("task", "task", "task", "plain", "plain", "note", "parcel", "bulk", "metered", "crowd"))
    how: dict[str, Any] = {"kind": kind, "how": chance.choice(HOWS)}
    options: dict[str, Any] = {}
    if chance.random() < 0.35:  # noqa: PLR2004
        options["key"] = f"k{chance.randrange(2)}"
        if kind in KEYED:
            options["dedup"] = chance.choice(("replace", "replace", "reject", "append"))
            if options["dedup"] != "append" and chance.random() < SHORT:
                options["dedup_window"] = 20.0
        elif kind in BURSTS and chance.random() < SHORT:
            options["debounce"] = 5.0
    if chance.random() < SHORT:
        options["group"] = f"g{chance.randrange(2)}"
    if "debounce" not in options and chance.random() < SHORT:
        options["delay"] = chance.choice((0.5, 20.0, 4_000.0))
    if chance.random() < SHORT:
        options["ttl"] = chance.choice((1.0, 60.0))
    if chance.random() < SHORT:
        options["priority"] = chance.choice((-1, 5))
    if chance.random() < SHORT:
        options["keep_result"] = 30.0
    return {**how, "options": options}


def _publish(night: Night, kind: str, how: str, options: dict[str, Any]) -> None:
    content, ident = night.new(TYPES[kind], how, options)
    night.publish([ident], lambda: night.system.publish(content, id=ident, **options))


def _draw_submits(chance: random.Random) -> dict[str, Any]:
    messages = [_draw_message(chance) for _ in range(chance.randrange(2, 6))]
    if chance.random() < SHORT:  # of one key, each to take the place of the one before it, in one frame with that
        asked = {"key": "k0", "dedup": "replace", "keep_result": 30.0}
        messages = [{"kind": "task", "how": one["how"], "options": asked} for one in messages]
    return {"messages": messages}


def _submit(night: Night, messages: list[dict[str, Any]]) -> None:
    """Publish several without waiting, so that one frame holds what several asked for."""
    for one in messages:
        content, ident = night.new(TYPES[one["kind"]], one["how"], one["options"])
        night.submit(ident, partial(night.system.submit, content, id=ident, **one["options"]))


def _draw_bundles(chance: random.Random) -> dict[str, Any]:
    kinds = chance.choice((("plain",), ("plain", "task"), ("metered",), ("crowd", "plain")))
    return {
        "kinds": [chance.choice(kinds) for _ in range(chance.randrange(2, 25))],
        "how": chance.choice([how for how in HOWS if how != DIES]),  # a process for each attempt of each would last for days
        "pause": [chance.randrange(25), chance.randrange(8)],
    }


def _submit_bundles(night: Night, kinds: list[str], how: str, pause: tuple[int, int]) -> None:
    """Submit several that have nothing but their content, and so travel together; before one of them the others take some turns."""
    before, turns = pause
    for place, kind in enumerate(kinds):
        if place == before:
            _run(night, turns)
        content, _ = night.new(TYPES[kind], how, {})
        night.submit(None, partial(night.system.submit, content))


def _draw_many(chance: random.Random) -> dict[str, Any]:
    return {"count": chance.randrange(1, 25), "kind": chance.choice(("task", "plain", "plain")), "how": chance.choice(HOWS)}


def publish_many(night: Night, count: int, kind: str = "task", how: str = "done") -> None:
    """Publish several in one commit, and wait for it; others go on meanwhile."""
    contents = [night.new(TYPES[kind], how, {})[0] for _ in range(count)]
    night.publish([], lambda: night.system.publish_many(contents))


def _publish_again(night: Night, pick: int) -> None:
    """Publish under an id that is known: that adds nothing, whatever became of the first (scenario 7)."""
    if night.acknowledged:
        ident = _one_of(sorted(night.acknowledged), pick)
        content = night.sent.get(ident)
        if content is not None:
            night.system.publish(content, id=ident)


def _draw_outbox(chance: random.Random) -> dict[str, Any]:
    messages = []
    for _ in range(chance.randrange(1, 5)):
        drawn = _draw_message(chance)
        # Times are worked out as the host writes a row, by the clock of the real world. What is refused because its key is taken
        # would stay for as long as that.
        options = {k: v for k, v in drawn["options"].items() if k in {"key", "group", "priority", "keep_result"}}
        messages.append({**drawn, "options": options})
    return {"messages": messages, "commit": chance.random() < 0.8, "notify": chance.random() < 0.5}  # noqa: PLR2004


def _outbox(night: Night, messages: list[dict[str, Any]], commit: bool, notify: bool) -> None:  # noqa: FBT001 - a step's keywords
    """The host writes into its own database; the relay publishes what was committed there."""
    written = []
    for one in messages:
        content, ident = night.new(TYPES[one["kind"]], one["how"], one["options"])
        written.append((content, ident, one["options"]))
    night.database.write(written, commit=commit)
    if notify:
        night.database.relay.notify()


def _call(night: Night, how: str, seconds: float) -> None:
    """Publish and wait for the result: what is given is what the handler returned, and on the disk."""
    content, ident = night.new(TYPES["task"], how, {"keep_result": 300.0})
    night.uncertain.add(ident)
    night.check_result(ident, lambda: night.system.call(content, id=ident, timeout=seconds))


# --- consuming by hand ---------------------------------------------------------------------------------------------------


def _check_out(night: Night) -> None:
    delivery = night.system.checkout(Parcel, lease=10.0)
    if delivery is not None:
        night.checked_out(delivery)


def _settle(night: Night, pick: int, how: str) -> None:
    if not night.held:
        return
    delivery = _one_of(night.held, pick)
    match how:
        case "extend":
            delivery.extend(5.0)
            return
        case "beat":
            delivery.heartbeat(50.0, "half")
            return
    night.held.remove(delivery)
    match how:
        case "ack":
            delivery.ack()
            night.acked.add((delivery.id, delivery.attempt))
        case "requeue":
            delivery.requeue("as it says")
        case "reject":
            delivery.reject("as it says")


def _cancel(night: Night, pick: int) -> None:
    if night.acknowledged:
        night.system.cancel(_one_of(sorted(night.acknowledged), pick))


def _ask_result(night: Night, pick: int) -> None:
    if night.wanted:
        ident = _one_of(sorted(night.wanted), pick)
        night.check_result(ident, lambda: night.system.result(ident, timeout=1.0))


# --- operating -----------------------------------------------------------------------------------------------------------


def _pause(night: Night, kind: str) -> None:
    night.system.admin.pause(TYPES[kind])
    night.paused.add(TYPES[kind])


def _resume(night: Night) -> None:
    night.resume()


def _scale(night: Night, kind: str, n: int) -> None:
    night.system.admin.scale(TYPES[kind], n)


def _configure(night: Night, retries: int) -> None:
    night.system.admin.configure(TYPES["task"], retries=retries)


def _replay(night: Night, pick: int, reset: bool) -> None:  # noqa: FBT001 - a step's keyword
    letters = night.dead_letters()
    if letters:
        night.system.dead_letters.replay(_one_of(letters, pick).id, reset_retries=reset)


def _purge(night: Night) -> None:
    night.dead_letters()
    night.system.dead_letters.purge()


def _snapshot(night: Night) -> None:
    night.system.admin.snapshot()


def _run(night: Night, turns: int) -> None:
    for _ in range(turns):
        night.system.step()


def _one_of(things: list[Any], pick: int) -> Any:
    return things[pick % len(things)]


def _pick(chance: random.Random) -> dict[str, Any]:
    return {"pick": chance.randrange(1000)}


HANDLED = ("task", "plain", "note", "bulk", "metered", "crowd")

DOINGS: dict[str, Doing] = {
    "publish": Doing(8, _draw_message, _publish),
    "submit": Doing(4, _draw_submits, _submit),
    "submit_bundles": Doing(2, _draw_bundles, _submit_bundles),
    "publish_many": Doing(2, _draw_many, publish_many),
    "outbox": Doing(2, _draw_outbox, _outbox),
    "call": Doing(1, lambda c: {"how": c.choice(HOWS), "seconds": c.choice((1.0, 60.0))}, _call),
    "publish_again": Doing(1, _pick, _publish_again),
    "check_out": Doing(3, nothing, _check_out),
    "settle": Doing(3, lambda c: {**_pick(c), "how": c.choice(("ack", "ack", "requeue", "reject", "extend", "beat"))}, _settle),
    "cancel": Doing(1, _pick, _cancel),
    "ask_result": Doing(1, _pick, _ask_result),
    "pause": Doing(1, lambda c: {"kind": c.choice(HANDLED)}, _pause),
    "resume": Doing(1, nothing, _resume),
    "scale": Doing(1, lambda c: {"kind": c.choice(HANDLED), "n": c.randrange(1, 5)}, _scale),
    "configure": Doing(1, lambda c: {"retries": c.randrange(4)}, _configure),
    "replay": Doing(2, lambda c: {**_pick(c), "reset": c.random() < 0.5}, _replay),  # noqa: PLR2004
    "purge": Doing(1, nothing, _purge),
    "snapshot": Doing(1, nothing, _snapshot),
    "pass_time": Doing(4, lambda c: {"seconds": c.choice((0.1, 1.0, 5.0, 45.0))}, lambda n, seconds: n.system.advance(seconds)),
    "run": Doing(4, lambda c: {"turns": c.randrange(30)}, _run),
    "look": Doing(1, nothing, lambda night: night.look()),
}
