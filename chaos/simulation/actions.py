"""What is done in a night that is no trouble: publishing, consuming, operating. One entry a kind: how often, how drawn, how done.

The troubles are in `faults`; what handlers do is in `night_work`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.simulation.handlers import DIES, HOWS, TYPES, MessageBlock

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from perdure.chaos.simulation.scenario import Scenario

    Draw = Callable[[random.Random], dict[str, Any]]
    Do = Callable[..., None]

__all__ = ["ACTIONS", "Action", "nothing", "publish_many"]

SHORT = 0.2
KEYED = ("task", "bulk", "parcel")
BURSTS = ("plain", "metered", "crowd")
"""Of these the last of a burst may be asked for. Not of notes: a debounced one replaces others, and has no part in their limit."""


@attrs.frozen
class Action:
    """One kind of step: `draw` gives its keywords as plain data, `do` takes a night and those."""

    weight: int
    draw: Draw
    do: Do


def nothing(_rng: random.Random) -> dict[str, Any]:
    """Draw no keywords."""
    return {}


# --- publishing ----------------------------------------------------------------------------------------------------------


def _draw_message(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(("task", "task", "task", "plain", "plain", "note", "parcel", "bulk", "metered", "crowd"))
    how: dict[str, Any] = {"kind": kind, "how": rng.choice(HOWS)}
    options: dict[str, Any] = {}
    if rng.random() < 0.35:  # noqa: PLR2004
        options["key"] = f"k{rng.randrange(2)}"
        if kind in KEYED:
            options["dedup"] = rng.choice(("replace", "replace", "reject", "append"))
            if options["dedup"] != "append" and rng.random() < SHORT:
                options["dedup_window"] = 20.0
        elif kind in BURSTS and rng.random() < SHORT:
            options["debounce"] = 5.0
    if rng.random() < SHORT:
        options["group"] = f"g{rng.randrange(2)}"
    if "debounce" not in options and rng.random() < SHORT:
        options["delay"] = rng.choice((0.5, 20.0, 4_000.0))
    if rng.random() < SHORT:
        options["ttl"] = rng.choice((1.0, 60.0))
    if rng.random() < SHORT:
        options["priority"] = rng.choice((-1, 5))
    if rng.random() < SHORT:
        options["keep_result"] = 30.0
    return {**how, "options": options}


def _publish(scenario: Scenario, kind: str, how: str, options: dict[str, Any]) -> None:
    content, ident = scenario.new(TYPES[kind], how, options)
    scenario.publish([ident], lambda: scenario.system.publish(content, id=ident, **options))


def _draw_submits(rng: random.Random) -> dict[str, Any]:
    messages = [_draw_message(rng) for _ in range(rng.randrange(2, 6))]
    if rng.random() < SHORT:  # of one key, each to take the place of the one before it, in one frame with that
        asked = {"key": "k0", "dedup": "replace", "keep_result": 30.0}
        messages = [{"kind": "task", "how": one["how"], "options": asked} for one in messages]
    return {"messages": messages}


def _submit(scenario: Scenario, messages: list[dict[str, Any]]) -> None:
    """Publish several without waiting, so that one frame holds what several asked for."""
    for one in messages:
        content, ident = scenario.new(TYPES[one["kind"]], one["how"], one["options"])
        scenario.submit(ident, partial(scenario.system.submit, content, id=ident, **one["options"]))


def _draw_bundles(rng: random.Random) -> dict[str, Any]:
    kinds = rng.choice((("plain",), ("plain", "task"), ("metered",), ("crowd", "plain")))
    return {
        "kinds": [rng.choice(kinds) for _ in range(rng.randrange(2, 25))],
        "how": rng.choice([how for how in HOWS if how != DIES]),  # a process for each attempt of each would last for days
        "pause": [rng.randrange(25), rng.randrange(8)],
    }


def _submit_bundles(scenario: Scenario, kinds: list[str], how: str, pause: tuple[int, int]) -> None:
    """Submit several that have nothing but their content, and so travel together; before one of them the others take some turns."""
    before, turns = pause
    for place, kind in enumerate(kinds):
        if place == before:
            _run(scenario, turns)
        content, _ = scenario.new(TYPES[kind], how, {})
        scenario.submit(None, partial(scenario.system.submit, content))


def _draw_many(rng: random.Random) -> dict[str, Any]:
    return {"count": rng.randrange(1, 25), "kind": rng.choice(("task", "plain", "plain")), "how": rng.choice(HOWS)}


def publish_many(scenario: Scenario, count: int, kind: str = "task", how: str = "done") -> None:
    """Publish several in one commit, and wait for it; others go on meanwhile."""
    contents = [scenario.new(TYPES[kind], how, {})[0] for _ in range(count)]
    scenario.publish([], lambda: scenario.system.publish_many(contents))


def _publish_again(scenario: Scenario, pick: int) -> None:
    """Publish under an id that is known: that adds nothing, whatever became of the first (scenario 7)."""
    if scenario.acknowledged:
        ident = _one_of(sorted(scenario.acknowledged), pick)
        content = scenario.sent.get(ident)
        if content is not None:
            scenario.system.publish(content, id=ident)


def _draw_outbox(rng: random.Random) -> dict[str, Any]:
    messages = []
    for _ in range(rng.randrange(1, 5)):
        drawn = _draw_message(rng)
        # Times are worked out as the host writes a row, by the clock of the real world. What is refused because its key is taken
        # would stay for as long as that.
        options = {k: v for k, v in drawn["options"].items() if k in {"key", "group", "priority", "keep_result"}}
        messages.append({**drawn, "options": options})
    return {"messages": messages, "commit": rng.random() < 0.8, "notify": rng.random() < 0.5}  # noqa: PLR2004


def _outbox(scenario: Scenario, messages: list[dict[str, Any]], commit: bool, notify: bool) -> None:  # noqa: FBT001 - a step's keywords
    """The host writes into its own database; the relay publishes what was committed there."""
    written = []
    for one in messages:
        content, ident = scenario.new(TYPES[one["kind"]], one["how"], one["options"])
        written.append((content, ident, one["options"]))
    scenario.database.write(written, commit=commit)
    if notify:
        scenario.database.relay.notify()


def _call(scenario: Scenario, how: str, seconds: float) -> None:
    """Publish and wait for the result: what is given is what the handler returned, and on the disk."""
    content, ident = scenario.new(TYPES["task"], how, {"keep_result": 300.0})
    scenario.uncertain.add(ident)
    scenario.check_result(ident, lambda: scenario.system.call(content, id=ident, timeout=seconds))


# --- consuming by hand ---------------------------------------------------------------------------------------------------


def _check_out(scenario: Scenario) -> None:
    delivery = scenario.system.checkout(MessageBlock, lease=10.0)
    if delivery is not None:
        scenario.checked_out(delivery)


def _settle(scenario: Scenario, pick: int, how: str) -> None:
    if not scenario.held:
        return
    delivery = _one_of(scenario.held, pick)
    match how:
        case "extend":
            delivery.extend(5.0)
            return
        case "beat":
            delivery.heartbeat(50.0, "half")
            return
    scenario.held.remove(delivery)
    match how:
        case "ack":
            delivery.ack()
            scenario.acked.add((delivery.id, delivery.attempt))
        case "requeue":
            delivery.requeue("as it says")
        case "reject":
            delivery.reject("as it says")


def _cancel(scenario: Scenario, pick: int) -> None:
    if scenario.acknowledged:
        scenario.system.cancel(_one_of(sorted(scenario.acknowledged), pick))


def _ask_result(scenario: Scenario, pick: int) -> None:
    if scenario.wanted:
        ident = _one_of(sorted(scenario.wanted), pick)
        scenario.check_result(ident, lambda: scenario.system.result(ident, timeout=1.0))


# --- operating -----------------------------------------------------------------------------------------------------------


def _pause(scenario: Scenario, kind: str) -> None:
    scenario.system.admin.pause(TYPES[kind])
    scenario.paused.add(TYPES[kind])


def _resume(scenario: Scenario) -> None:
    scenario.resume()


def _scale(scenario: Scenario, kind: str, n: int) -> None:
    scenario.system.admin.scale(TYPES[kind], n)


def _configure(scenario: Scenario, retries: int) -> None:
    scenario.system.admin.configure(TYPES["task"], retries=retries)


def _replay(scenario: Scenario, pick: int, reset: bool) -> None:  # noqa: FBT001 - a step's keyword
    letters = scenario.dead_letters()
    if letters:
        scenario.system.dead_letters.replay(_one_of(letters, pick).id, reset_retries=reset)


def _purge(scenario: Scenario) -> None:
    scenario.dead_letters()
    scenario.system.dead_letters.purge()


def _snapshot(scenario: Scenario) -> None:
    scenario.system.admin.snapshot()


def _run(scenario: Scenario, turns: int) -> None:
    for _ in range(turns):
        scenario.system.step()


def _one_of(things: list[Any], pick: int) -> Any:
    return things[pick % len(things)]


def _pick(rng: random.Random) -> dict[str, Any]:
    return {"pick": rng.randrange(1000)}


HANDLED = ("task", "plain", "note", "bulk", "metered", "crowd")

ACTIONS: dict[str, Action] = {
    "publish": Action(8, _draw_message, _publish),
    "submit": Action(4, _draw_submits, _submit),
    "submit_bundles": Action(2, _draw_bundles, _submit_bundles),
    "publish_many": Action(2, _draw_many, publish_many),
    "outbox": Action(2, _draw_outbox, _outbox),
    "call": Action(1, lambda c: {"how": c.choice(HOWS), "seconds": c.choice((1.0, 60.0))}, _call),
    "publish_again": Action(1, _pick, _publish_again),
    "check_out": Action(3, nothing, _check_out),
    "settle": Action(3, lambda c: {**_pick(c), "how": c.choice(("ack", "ack", "requeue", "reject", "extend", "beat"))}, _settle),
    "cancel": Action(1, _pick, _cancel),
    "ask_result": Action(1, _pick, _ask_result),
    "pause": Action(1, lambda c: {"kind": c.choice(HANDLED)}, _pause),
    "resume": Action(1, nothing, _resume),
    "scale": Action(1, lambda c: {"kind": c.choice(HANDLED), "n": c.randrange(1, 5)}, _scale),
    "configure": Action(1, lambda c: {"retries": c.randrange(4)}, _configure),
    "replay": Action(2, lambda c: {**_pick(c), "reset": c.random() < 0.5}, _replay),  # noqa: PLR2004
    "purge": Action(1, nothing, _purge),
    "snapshot": Action(1, nothing, _snapshot),
    "pass_time": Action(4, lambda c: {"seconds": c.choice((0.1, 1.0, 5.0, 45.0))}, lambda n, seconds: n.system.advance(seconds)),
    "run": Action(4, lambda c: {"turns": c.randrange(30)}, _run),
    "look": Action(1, nothing, lambda scenario: scenario.look()),
}
