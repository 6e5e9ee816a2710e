"""The journal: owns the log, and puts what all actors decide into one order, one frame and one sync (group commit).

It decides nothing and looks into no event; it only knows which actor folds which events (`AUDIENCE`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.messages import Append, BeginTerm, Committed, Restarted, TakeInRows, TakeSnapshot, TermBegun, Up
from perdure.actors.journal.encoding_errors import ENCODING_ERRORS, refuse_unencodable
from perdure.actors.journal.gathering import SLOW_S, Gathering
from perdure.actors.requests.answers import Settle, SettleAll
from perdure.events import vocabulary as ev
from perdure.events.codec.wire import encode
from perdure.events.commands import Publish
from perdure.events.commit_size import measure
from perdure.events.errors import PerdureError, StoreUnavailable, another
from perdure.events.loggers import GuardedLogger
from perdure.events.runs import Run, count
from perdure.store import AppendInDoubt, RowsGone
from perdure.store.format import frame as store_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.actors.core.actor import Home
    from perdure.actors.core.health import Health
    from perdure.actors.core.messages import Effect
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request

__all__ = ["Journal"]

logger = GuardedLogger("perdure")

AUDIENCE = {ev.DeadLettered: "dead_letters", ev.Replayed: "dead_letters", ev.Purged: "dead_letters"}
"""The actors that are notified of events that another decides. (Snapshots and audit read the log itself.)"""

IDLE_S = 0.2
GATHERED_EVENTS_MAX = 100
"""A frame of more is not held for others: batches and pipelined publishers fill theirs by themselves."""
OUTSTANDING_MAX = 1_000
"""With more requests outstanding than this, some are taken to have come during the commit without a look at each."""
FRAME_EVENTS_MAX = 50_000
FRAME_BYTES_MAX = 32 << 20
"""Bytes before compression up to which appends share a frame. A store takes twice that, for a single append that is larger."""


def _check_frame(body: bytes, events: int) -> None:
    """Raise ValueError if no store takes this as one frame; deciders keep within that bound (`events/commit_size`)."""
    if len(body) > store_frame.FRAME_BYTES_MAX or events > store_frame.COUNT_MAX:
        msg = (
            f"{events:,} events of {len(body):,} bytes are more than one frame takes ({store_frame.COUNT_MAX:,} events, "
            f"{store_frame.FRAME_BYTES_MAX:,} bytes)"
        )
        raise ValueError(msg)


def waiting_on(effect: Effect) -> Sequence[Request]:
    """Return the requests that an effect answers."""
    if isinstance(effect, Settle):
        return (effect.request,)
    return effect.requests if isinstance(effect, SettleAll) else ()


class Journal(Actor):
    """Writes frames. It dies of any I/O error: a file whose sync failed is never trusted or synced again."""

    idle_after_s = IDLE_S

    def __init__(self, directory: Home, pending: PendingRequests, log: LogState, health: Health, generation: int) -> None:
        super().__init__(directory, "journal", generation)
        self.pending = pending
        self.log = log
        self.health = health
        self.store = log.store
        self.terms: dict[str, int] = {}
        self.over: dict[str, int] = {}
        """By decider: the last of its terms that began before this journal had the log open. (Of the first journal, none did.)"""
        self.unsynced = False
        self.gathering = Gathering()
        self.gathered: list[Append] = []
        """What waits for more to share its frame."""

    def on_start(self) -> None:
        """Open the log anew, unless this is the first journal and the system has just opened it."""
        if self.generation > 1:
            log = self.log
            self.store.reopen(void_after=log.void_after)
            # Taken first: a crash after this line may leave a request in doubt, never wrongly answered.
            voided, log.to_void = log.to_void, []
            log.void_after = None
            self.pending.void(voided)
            # `Restarted` begins new terms, without the requests refused until now: no more of those gets on record.
            self.over = log.terms()
        self.directory.tell("supervisor", Up(self.name, self.generation))

    def on_batch(self, messages: list[Any]) -> None:
        """Put all appends of the batch on record: one frame as a rule, one sync if a request waits for it."""
        appends, self.gathered, self.idle_after_s = self.gathered, [], IDLE_S
        for message in messages:
            match message:
                case Append():
                    # Of an earlier term: its writer is gone, and its successor has folded the log without this.
                    if self.terms.get(message.writer) == message.term:
                        appends.append(message)
                case BeginTerm():
                    self._commit(appends)
                    appends = []
                    if max(self.terms.get(message.writer, 0), self.over.get(message.writer, 0)) < message.term:
                        self.terms[message.writer] = message.term
                        self.directory.tell(message.writer, TermBegun(message.term, self.store.last_seq))
        if self.gathering.is_worth_it and (wait_s := self._worth_waiting_s(appends)):
            self.gathered, self.idle_after_s = appends, wait_s
        else:
            self._commit(appends)

    def _worth_waiting_s(self, appends: list[Append]) -> float:
        """Return how many seconds these appends wait for more to share their frame; 0: not at all."""
        deciding = [append for append in appends if append.events]
        waiting = sum(len(waiting_on(effect)) for append in deciding for effect in append.synced)
        if not deciding or not (waiting or self.gathering.holds_bookkeeping):
            return 0.0
        if sum((append.size or measure(append.events)).events for append in deciding) > GATHERED_EVENTS_MAX:
            return 0.0
        return self.gathering.wait_s(waiting, self.health.monotonic_s())

    def on_idle(self) -> None:
        """Sync bookkeeping that no request waits for, and seal the last frame against being taken for a torn one."""
        if self.gathered:
            gathered, self.gathered, self.idle_after_s = self.gathered, [], IDLE_S
            self._busy = True  # what follows an idle moment is still to come
            self._commit(gathered)
            return
        self._sync([], wanted=False)
        self.store.seal()

    def on_stop(self) -> None:
        """Sync. The engine, which opened the log, closes it."""
        self._commit(self.gathered)
        self._sync([], wanted=False)

    def _commit(self, appends: list[Append]) -> None:
        waiting: list[Effect] = []
        unsynced: list[tuple[int, list[Request]]] = []
        start, most = 0, len(appends)
        begun_s = self.health.monotonic_s()
        while start < len(appends):
            end, events, size = start, 0, 0
            while end < min(len(appends), start + most):
                following = appends[end].size or measure(appends[end].events)
                events, size = events + following.events, size + following.bytes
                if end > start and (events > FRAME_EVENTS_MAX or size > FRAME_BYTES_MAX):
                    events -= following.events
                    break
                end += 1
            frame = appends[start:end]
            if events:
                try:
                    body = encode([(append.at_us, append.events) for append in frame if append.events])
                    if len(frame) == 1 and (len(body) > FRAME_BYTES_MAX or events > FRAME_EVENTS_MAX):
                        _check_frame(body, events)
                except ENCODING_ERRORS:
                    appends[start:] = self._writable(appends[start:])
                    continue
                if len(body) > FRAME_BYTES_MAX and len(frame) > 1:
                    most = len(frame) // 2
                    continue
                # Counted before it is written: a crash in between may leave a request in doubt, never wrongly answered.
                requests = [request for append in frame for effect in append.synced for request in waiting_on(effect)]
                for request in requests:
                    request.writes += 1
                try:
                    self._write(frame, body, events, durable=self.log.fsyncs and bool(requests or waiting) and end == len(appends))
                except RowsGone as error:
                    self._not_written(requests, error)
                    appends[start:] = self._without_taken(appends[start:], error)
                    continue
                except StoreUnavailable as error:
                    self._not_written(requests, error)
                    self._refuse(appends[start:], error)
                    raise
                unsynced.append((self.store.last_seq, requests))
            seq = self.store.last_seq
            for append in frame:
                for effect in append.written:
                    effect.release(seq)
                waiting += append.synced
            start, most = end, len(appends)
        if waiting:
            self._sync_and_answer(waiting, unsynced, begun_s)
        elif unsynced:
            self.gathering.kept(self.health.monotonic_s() - begun_s)

    def _sync_and_answer(self, waiting: list[Effect], frames: list[tuple[int, list[Request]]], begun_s: float) -> None:
        """Release what waits for the sync of these frames, each given with its last sequence number and its requests."""
        self._sync(frames, wanted=True)
        seq, took_s = self.store.last_seq, self.health.monotonic_s() - begun_s
        if frames and (took_s >= SLOW_S or self.gathering.is_worth_it):
            answered = sum(len(requests) for _, requests in frames)
            self.gathering.committed(took_s, answered, more_came=self._others_wait(frames))
        for effect in waiting:
            effect.release(seq)
        self.health.commits.add(took_s)

    def _others_wait(self, frames: list[tuple[int, list[Request]]]) -> bool:
        """Return whether publishes wait that these frames do not answer: they came meanwhile."""
        outstanding = self.pending.outstanding
        if len(outstanding) > OUTSTANDING_MAX:
            return True
        answered = {request.key for _, requests in frames for request in requests}
        return any(isinstance(request.command, Publish) and key not in answered for key, request in list(outstanding.items()))

    def _writable(self, appends: list[Append]) -> list[Append]:
        """Return the appends that can be encoded. The writer of any other one has folded events that are lost: it begins a term."""
        writable: list[Append] = []
        ended: set[str] = set()
        for append in appends:
            if append.writer in ended:
                continue
            try:
                _check_frame(encode([(append.at_us, append.events)]), count(append.events))
            except ENCODING_ERRORS as why:
                if not refuse_unencodable(self.pending, append, why):
                    raise
                logger.exception("what %s decided cannot be put on record; the requests for it are refused", append.writer)
                self.health.count("encoding_errors")
                ended.add(append.writer)
                del self.terms[append.writer]  # what it still sends in this term is dropped
                self.directory.tell(append.writer, Restarted(self.name))
            else:
                writable.append(append)
        if not ended:
            msg = "a frame cannot be encoded, and each of its appends can"
            raise RuntimeError(msg)
        return writable

    def _without_taken(self, appends: list[Append], error: RowsGone) -> list[Append]:
        """Refuse appends that take in rows which were taken in before, and drop their writers' others; return all the rest."""
        ended: set[str] = set()
        for append in appends:
            if append.taken and append.writer not in ended:
                ended.add(append.writer)
                del self.terms[append.writer]  # what it still sends in this term is dropped
                self.directory.tell(append.writer, Restarted(self.name))
        rows = {row for append in appends for row in append.taken}
        for request in list(self.pending.outstanding.values()):
            if isinstance(request.command, TakeInRows) and any(row in rows for row, _ in request.command.rows):
                self.pending.refuse(request, another(error))
        return [append for append in appends if append.writer not in ended]

    def _write(self, frame: list[Append], body: bytes, events_count: int, *, durable: bool) -> None:
        if self.killed:  # left behind by a stop: another run may have the store by now
            raise ActorKilled(self.name)
        first_seq = self.store.last_seq + 1
        taken = [row for append in frame for row in append.taken]
        if taken:
            self.store.append(body, events_count, expected_seq=first_seq, durable=durable, taken=taken)
        else:
            self.store.append(body, events_count, expected_seq=first_seq, durable=durable)
        self.unsynced = True
        seq = first_seq
        notices: dict[str, list[tuple[int, int, ev.Event]]] = {}
        for append in frame:
            for event in append.events:
                audience = AUDIENCE.get(event.__class__)
                if audience is not None:
                    notices.setdefault(audience, []).append((seq, append.at_us, event))
                seq += len(event) if isinstance(event, Run) else 1
        for audience, notice in notices.items():
            self.directory.tell(audience, Committed(notice))
        if self.log.is_snapshot_due():
            self.directory.tell("snapshotter", TakeSnapshot())

    def _sync(self, frames: list[tuple[int, list[Request]]], *, wanted: bool) -> None:
        """Sync, unless it is only `wanted` by publishers and the durability does not ask for it."""
        if not self.unsynced or (wanted and not self.log.fsyncs):
            return
        if self.killed:  # as in `_write`
            raise ActorKilled(self.name)
        begun_s = self.health.monotonic_s()
        try:
            self.store.sync()
        except StoreUnavailable:
            if self.log.fsyncs:
                # What was written since the last good sync is void: only the next journal can make sure of that.
                self.log.to_void = [r for last_seq, requests in frames if last_seq > self.store.synced_seq for r in requests]
                self.log.void_after = self.store.synced_seq
            raise
        self.health.syncs.add(self.health.monotonic_s() - begun_s)
        self.unsynced = False

    def _not_written(self, requests: list[Request], error: PerdureError) -> None:
        """Note that a frame with these requests is not there, or that this is in doubt."""
        if isinstance(error, AppendInDoubt):  # as after a failed sync: only the next journal can make sure that it is not there
            self.log.to_void, self.log.void_after = requests, self.store.last_seq
            raise StoreUnavailable(*error.args) from error
        for request in requests:
            request.writes -= 1

    def _refuse(self, appends: list[Append], error: StoreUnavailable) -> None:
        """Refuse requests from outside whose frame was not written; those from inside wait for the next journal."""
        for append in appends:
            for effect in (*append.written, *append.synced):
                for request in waiting_on(effect):
                    if request.may_be_refused:
                        self.pending.refuse(request, another(error))
