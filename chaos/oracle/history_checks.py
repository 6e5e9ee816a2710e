"""The check of a whole history: the log against what publishers, consumers and handlers saw, and against itself.

It covers scenarios 29, 30, 36, 39, 42 and 43 of the project, and its laws. Single events are followed by `reference_model`,
single frames by `frame_checks`, the ticks of schedules by `ticks`.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.queue import decision_pass
from perdure.chaos.oracle.frame_checks import FrameCheck
from perdure.chaos.oracle.publish_options import KeyPolicy, check_options
from perdure.chaos.oracle.recorded_events import decoded
from perdure.chaos.oracle.reference_model import BrokenContract, ReferenceModel, require
from perdure.chaos.oracle.ticks import Ticks
from perdure.events import vocabulary as ev
from perdure.events.queue import deadlines, leasing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.oracle.publisher_log import PublisherLog
    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.chaos.oracle.ticks import SentTicks
    from perdure.chaos.simulation.simulated_clock import SimulatedClock

__all__ = ["History", "check_history"]


@attrs.frozen
class History:
    """A finished scenario: its log, and all that it is compared with."""

    store: RecordingStore
    publisher_log: PublisherLog
    handler_log: HandlerLog
    leased_again: set[tuple[str, int]]
    """Leases (id, attempt) that were written more than once: the first frame was lost while the attempt ran on."""
    committed: set[str]
    """Ids of the messages that the host's database committed to its outbox."""
    clock: SimulatedClock
    schedules: Mapping[str, tuple[str, float]]
    """By name: which missed ticks are made up for, and the seconds between two ticks."""
    sent_ticks: SentTicks
    rates_per_s: Mapping[str, float]
    """By the name of a message type: the limit of its handler's rate."""
    backoff_us: int
    """The delay of every retry."""
    key_policies: Mapping[str, KeyPolicy]
    """By the name of a message type: what its handler has for keys; the default for others."""


def check_history(history: History) -> ReferenceModel:
    """Check a history. Return the reference model of it.

    Raises:
        BrokenContract: the first violation.
    """
    model = ReferenceModel()
    model.leased_again = lambda ident, attempt: (ident, attempt) in history.leased_again

    def check_published(published: ev.Published) -> None:
        options = _options(history, published)
        check_options(published, options, history.key_policies.get(published.type, KeyPolicy()))
        by = history.publisher_log if published.causation_id is None else history.handler_log
        by.moments.check(published, options, history.clock)

    frame = FrameCheck(history.handler_log, model, history.backoff_us, check_published)
    ticks = Ticks(history.schedules, history.sent_ticks)
    rates = [_RateLimit(name, per_s) for name, per_s in history.rates_per_s.items()]
    workers_max: dict[str, int] = {}
    for n, seq, at_us, event in history.store.recorded_events():
        require(seq == frame.seq + 1, f"sequence {seq} where {frame.seq + 1} is next")
        if n != frame.number:
            frame.close()
            frame = FrameCheck(history.handler_log, model, history.backoff_us, check_published, n)
        model.take(at_us, event)
        frame.take(seq, at_us, event)
        for rate in rates:
            rate.take(at_us, event, model)
        ticks.take(n, event)
        match event:
            case ev.HandlerRegistered(type=name, parallelism=fewest, parallelism_max=most):
                workers_max[name] = max(fewest, most)
            case ev.Adapted(type=name, parallelism=workers):
                require(workers <= workers_max[name], f"{name} has grown to {workers} workers of at most {workers_max[name]}")
    frame.close()
    _check_appends(history.store)
    ticks.close(history.clock.now_us())
    _check_publishers(history, model, ticks.ids)
    require(not model.live, f"never done: {sorted(item.published.id for item in model.live.values())}")
    return model


def _options(history: History, published: ev.Published) -> Mapping[str, Any]:
    """Return how a message was published by its publisher or handler. Without an id of their own they have no options, as ticks."""
    parent = published.causation_id
    if parent is None:
        return history.publisher_log.options.get(published.id, {})
    attempt = published.id.removeprefix(f"{parent}.").partition(".")[0]
    return history.handler_log.children(parent, int(attempt))[published.id]


ONE_EACH = (ev.AttemptFailed, ev.LeaseExpired, ev.Returned, ev.Awakened, ev.Expired)
"""The queue decides about one of these for each attempt or deadline."""


def _check_appends(store: RecordingStore) -> None:
    """Law 7: one append contains at most a full pass and what filled it. In half of all scenarios a full pass is small."""
    most = max(decision_pass.PASS_EVENTS, deadlines.LOOK_MAX)
    for frame in store.all_frames():
        for _, events in decoded(frame.body, frame.count):
            kinds = Counter(map(type, events))
            ends = sum(kinds[kind] for kind in ONE_EACH)
            require(ends <= most, f"one append handles {ends} attempts and deadlines, where {most} are a full pass")
            leases = kinds[ev.Leased]
            require(leases <= most + leasing.LEASES_MAX, f"one append delivers {leases} messages")


class _RateLimit:
    """A limited rate: a bucket that leaks at the rate and takes one burst."""

    def __init__(self, type_name: str, per_s: float) -> None:
        self._type = type_name
        self._interval_us = round(1_000_000 / per_s)
        self._full_us = 0
        self._at_us = 0

    def take(self, at_us: int, event: ev.Event, model: ReferenceModel) -> None:
        if at_us < self._at_us:
            self._full_us = 0  # the clock was set back
        self._at_us = at_us
        if not isinstance(event, ev.Leased) or event.holder:
            return
        published = model.items[event.number].published
        if published.type != self._type or model.leased_again(published.id, event.attempt):
            return
        self._full_us = max(self._full_us, at_us) + self._interval_us
        require(self._full_us <= at_us + self._interval_us, f"{published.id} was delivered sooner than its rate allows")


def _check_publishers(history: History, model: ReferenceModel, of_ticks: set[str]) -> None:
    log = history.publisher_log
    recorded = model.ids.keys()
    if lost := log.acknowledged - recorded:
        msg = f"acknowledged and lost: {sorted(lost)}"
        raise BrokenContract(msg)
    if unpublished := history.committed - recorded:
        msg = f"committed in the host's database and not published: {sorted(unpublished)}"
        raise BrokenContract(msg)
    if ghosts := log.refused & recorded:
        msg = f"refused and recorded: {sorted(ghosts)}"
        raise BrokenContract(msg)
    for client, order in log.orders:
        if client is not None and (client.connection.faults.were_swapped or client.connection.faults.were_overtaken):
            continue
        # Of a client's requests, one that was given up may be done later than one that was made after it.
        counted = recorded if client is None else recorded & log.acknowledged
        for one, following in pairwise(ident for ident in order if ident in counted):
            in_order = model.ids[one] < model.ids[following]
            require(in_order, f"{following} was published before {one}, which was requested first")
    children = {ident for ident in recorded if model.items[model.ids[ident]].published.causation_id is not None}
    of_many = {ident for ident in recorded if len(ident) == len("00000000-0000-7000-8000-000000000000")}
    if invented := recorded - children - log.acknowledged - log.uncertain - of_many - of_ticks - history.committed:
        msg = f"recorded, and never published: {sorted(invented)}"
        raise BrokenContract(msg)
    for ident, options in log.options.items():
        if ident not in recorded:
            continue
        published = model.items[model.ids[ident]].published
        if "debounce" in options:
            require(published.due_us and published.dedup == "replace", f"{ident} is not debounced")
    for ident, attempt in log.acked:
        item = model.items[model.ids[ident]]
        require((item.place, item.attempts) == ("ended", attempt), f"the consumer's ack of {ident}, attempt {attempt}, is lost")
