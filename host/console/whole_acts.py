"""What an operator can change in all partitions from one page: an act is performed by the owner of each, and recorded there.

A partition that cannot be reached does not stop the others. The outcome lists where the act was done and where it was not. Not
here: what an act does in one partition (`console_acts`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.acting import acting_as
from perdure.cluster.routing import of_text
from perdure.console import console_acts
from perdure.console.console_acts import BULK_WAIT_S, ActRequest, begun, check_counted
from perdure.console.counting import ALL, LETTERS, MESSAGES, from_plain
from perdure.console.guard.permits import Permits
from perdure.events.errors import InvalidMessage, NotAllowed, NotRunning, PerdureError
from perdure.handling.options.handler_options import check_changes
from perdure.operations.bulk.bulk_act import LOOK_FIRST_S, LOOK_LAST_S, BulkAct
from perdure.publishing.given_message import option_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from perdure.console.console import Console
    from perdure.console.guard.sessions import Session

__all__ = ["ACTS", "WholeActRequest", "do"]

FAILURES = (PerdureError, ValueError, TypeError, TimeoutError, OSError)
"""Errors of an act in one partition, after which the other partitions still act."""
NOT_DONE = "Not done"
"""The beginning of a notice of a failure."""


@attrs.frozen
class WholeActRequest:
    """One requested act on all partitions."""

    consoles: Mapping[int, Console]
    session: Session
    principal: str
    form: dict[str, str]

    def field(self, name: str) -> str:
        """Return a field of the form; empty where it is missing."""
        return self.form.get(name, "").strip()

    def of(self, number: int, **changed: str) -> ActRequest:
        """Return the request for one partition, with some fields changed."""
        console = self.consoles[number]
        rights = Permits(self.principal, console.rights, console.front is not None)
        return ActRequest(console, self.session, rights, {**self.form, **changed})


@attrs.define
class Outcomes:
    """What an act did in each partition."""

    done: dict[int, str] = attrs.field(factory=dict)
    failed: dict[int, str] = attrs.field(factory=dict)

    def summary(self) -> str:
        """Return a sentence on what was done, and on where it was not.

        Raises:
            PerdureError: it was done nowhere.
        """
        failures = "; ".join(f"in {_of(numbers)}: {text}" for text, numbers in _alike(self.failed))
        if not self.done:
            raise PerdureError(failures or "there is nothing to act on")
        alike = _alike(self.done)
        if len(alike) == 1:
            where = "all partitions" if not self.failed else _of(self.done)
            done = f"{alike[0][0]} (in {where})"
        else:
            done = "; ".join(f"{_of(numbers)}: {text}" for text, numbers in alike)
        return f"{NOT_DONE} {failures}. Done: {done}" if self.failed else done


def _alike(texts: Mapping[int, str]) -> list[tuple[str, list[int]]]:
    """Return each distinct text with the partitions that have it."""
    found: dict[str, list[int]] = {}
    for number, text in texts.items():
        found.setdefault(text, []).append(number)
    return [*found.items()]


def _of(numbers: Iterable[int]) -> str:
    return f"partition {', '.join(map(str, sorted(numbers)))}"


def _in_each(request: WholeActRequest, name: str, **changed: str) -> str:
    """Perform an act in each partition, one after the other.

    Raises:
        NotAllowed: it was refused before any partition had done it.
    """
    outcomes = Outcomes()
    for number in request.consoles:
        try:
            outcomes.done[number] = console_acts.do(name, request.of(number, **changed))
        except NotAllowed as error:
            if not outcomes.done:
                raise
            outcomes.failed[number] = str(error)
        except FAILURES as error:
            outcomes.failed[number] = str(error)
    return outcomes.summary()


def _configure(request: WholeActRequest) -> str:
    """Change an option in each partition. A rate holds for the whole queue and is divided, as by `Cluster.admin.configure`."""
    kind, option, value = request.field("type"), request.field("option"), request.field("value")
    rate = check_changes({"rate": option_value(value)})["rate_per_s"] if option == "rate" else None
    if not rate:
        return _in_each(request, "configure")
    outcome = _in_each(request, "configure", value=repr(rate / len(request.consoles)))
    if outcome.startswith(NOT_DONE):
        return outcome
    return f"{kind}: rate is {value} from the next delivery on, shared out over {len(request.consoles)} partitions"


def _publish(request: WholeActRequest) -> str:
    """Publish to the partition of the group or key; without one, to the first that runs."""
    label = request.field("group") or request.field("key")
    runs = [number for number, console in request.consoles.items() if console.front is not None]
    number = of_text(label, len(request.consoles)) if label else (runs or [*request.consoles])[0]
    return f"{console_acts.do('publish', request.of(number))} (in partition {number})"


def _run_now(request: WholeActRequest) -> str:
    """Run a schedule now in its partition, which the form names."""
    number = request.field("partition")
    if not number.isdecimal() or int(number) not in request.consoles:
        msg = f"partition: a number of one of the {len(request.consoles)} partitions, not {number!r}"
        raise InvalidMessage(msg)
    return f"{console_acts.do('run-now', request.of(int(number)))} (in partition {int(number)})"


def _bulk(request: WholeActRequest, action: str) -> str:
    """Begin a bulk act in each partition on what was counted there, under one id; return the progress of all after a moment.

    A form that is sent again (after a crash of the console, for example) begins the act in the partitions that do not know it.
    """
    for number in request.consoles:
        rights = request.of(number).rights
        rights.rights.require(rights.principal, action, [""])
    counted = _counted(request, action)
    outcomes, acts = Outcomes(), dict[int, BulkAct]()
    for number, one in counted.items():  # all rights before the first act
        try:
            check_counted(request.of(number), action, one)
        except NotRunning as error:
            outcomes.failed[number] = str(error)
    ident = request.session.act_on(request.field("counted"))
    for number, one in counted.items():
        if number not in outcomes.failed:
            try:
                acts[number] = begun(request.of(number), action, one, ident, wait_s=0.0)
            except FAILURES as error:
                outcomes.failed[number] = str(error)
    for console in request.consoles.values():
        console.counts.forget(request.session.secret)
    unasked = _await(request, acts)
    what = "message(s)" if action == "cancel" else "dead letter(s)"
    if acts and not outcomes.failed and not unasked and all(act.is_over and not act.outcome for act in acts.values()):
        changed, in_all = (sum(getattr(act, name) for act in acts.values()) for name in ("changed", "counted"))
        return f"{action}: {changed:,} of the {in_all:,} {what} that were counted, in {len(acts)} partition(s)"
    for number, act in acts.items():
        how_far = unasked.get(number, "") or f"{act.changed:,} of the {act.counted:,} {what} that were counted"
        so_far = "" if act.is_over else " so far; it goes on, also without this page"
        stopped = f"; stopped before its end: {act.outcome}" if act.outcome else ""
        outcomes.done[number] = f"{action}: {how_far}{so_far}{stopped}"
    return outcomes.summary()


def _counted(request: WholeActRequest, action: str) -> dict[int, Any]:
    """Return the counts that a form carries, by partition, without those of nothing.

    Raises:
        InvalidMessage: they are too old, or of something else.
    """
    of_all, of, parts = (*(request.session.count_of(request.field("counted")) or ()), None, None, None)[:3]
    if of_all != ALL or of != (MESSAGES if action == "cancel" else LETTERS):
        msg = "the count is too old: count them again"
        raise InvalidMessage(msg)
    found = {number: from_plain(plain)[1] for number, *plain in parts}
    return {number: one for number, one in found.items() if number in request.consoles and one.count}


def _await(request: WholeActRequest, acts: dict[int, BulkAct]) -> dict[int, str]:
    """Wait up to `BULK_WAIT_S` for all acts to end; return why the progress is unknown, by partition, where it is."""
    unasked: dict[int, str] = {}
    until_s, pause_s = time.monotonic() + BULK_WAIT_S, LOOK_FIRST_S
    while time.monotonic() < until_s and not all(act.is_over or number in unasked for number, act in acts.items()):
        time.sleep(pause_s)
        pause_s = min(LOOK_LAST_S, 2 * pause_s)
        for number, act in acts.items():
            if not act.is_over and number not in unasked:
                try:
                    acts[number] = request.of(number).front.dead_letters.bulk(act.id)
                except FAILURES as error:
                    unasked[number] = f"begun; how far it is cannot be asked ({error})"
    return unasked


def _each(name: str) -> Callable[[WholeActRequest], str]:
    return lambda request: _in_each(request, name)


def _bulk_of(action: str) -> Callable[[WholeActRequest], str]:
    return lambda request: _bulk(request, action)


ACTS: dict[str, Callable[[WholeActRequest], str]] = {
    **{name: _each(name) for name in ("pause", "resume", "scale", "snapshot", "reveal")},
    "configure": _configure,
    "publish": _publish,
    "run-now": _run_now,
    **{f"bulk-{action}": _bulk_of(action) for action in ("replay", "edit", "purge", "cancel")},
}


def do(name: str, request: WholeActRequest) -> str:
    """Perform an act, recorded in each partition; return a sentence that describes what was done, and where.

    Raises:
        NotAllowed: the principal has no right to it; nothing was done.
        PerdureError, ValueError, TypeError: it was done nowhere; as raised by the methods of the system.
    """
    with acting_as(request.principal, reason=request.field("reason")):
        return ACTS[name](request)
