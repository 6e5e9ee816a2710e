"""The rules of bulk acts: a commit counts once, what died later is not meant, and the plan survives a snapshot at every point."""

from __future__ import annotations

import attrs
import msgspec
import pytest

from perdure.events import vocabulary as ev
from perdure.events.acts import Act
from perdure.events.codec.queue_snapshot import dump_queue, load_queue
from perdure.events.commands import AdvanceBulk, BeginBulk, Cancel, CheckOut, Draft, EndBulk, Fail, Publish
from perdure.events.commit_size import COMMIT_BYTES_MAX, measure
from perdure.events.errors import InvalidMessage
from perdure.events.queue import bulk_acts
from perdure.events.queue import dead_letters as letters
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.searching import letter_search, plain_payloads
from perdure.events.queue.searching.live_messages import CountLive, FindLive, counting, finding
from perdure.events.queue.state import QueueState
from perdure.events.structures.pieces import PIECE, whole

LIMITS = rules.Limits()
ACT = Act("purge", "", "ann", "own process")


class Log:
    """Queue and dead letters, folded event by event; the queue's state is compared with its snapshot's after each command."""

    def __init__(self) -> None:
        self.queue, self.letters, self.seq = QueueState(), letters.DeadLettersState(), 0

    def do(self, command: object) -> list[ev.Event]:
        events = rules.decide(self.queue, command, 1, LIMITS)
        for event in events:
            self.seq += 1
            evolve(self.queue, event)
            letters.evolve(self.letters, event, 1, self.seq)
        loaded = load_queue(dump_queue(self.queue))
        assert loaded.bulks == self.queue.bulks
        return events

    def die(self, *idents: str, payload: bytes = b"") -> None:
        for ident in idents:
            self.do(Publish([Draft(ident, "t", payload)]))
            self.do(CheckOut("t", ident, 60, 0))
            self.do(Fail(self.queue.next_number - 1, ident, 1, "E", "m", "", 0, "never"))

    def next(self, after: int, upto: int, most: int = 100) -> letter_search.Portion:
        return letter_search.next_letters(self.letters, letter_search.NextLetters("type=t", after, upto, most, 1 << 20, 100))

    def begin(self) -> int:
        counted = letter_search.count(self.letters, letter_search.CountLetters("type=t"), self.seq)
        self.do(BeginBulk("b", "purge", counted.where, counted.seq, sum(counted.by_type.values()), True, {}, ACT))
        return counted.seq


def purge(portion: letter_search.Portion) -> AdvanceBulk:
    return AdvanceBulk("b", portion.upto, [], [letters.death(letter.event) for letter in portion.letters])


def test_what_died_after_it_was_counted_is_not_meant() -> None:
    log = Log()
    log.die("a", "b")
    counted_seq = log.begin()
    log.die("late")
    portion = log.next(0, counted_seq)
    assert [letter.event.published.id for letter in portion.letters] == ["a", "b"]
    assert portion.is_last


def test_a_commit_that_is_sent_again_counts_once() -> None:
    log = Log()
    log.die("a", "b", "c")
    counted_seq = log.begin()
    command = purge(log.next(0, counted_seq, most=2))
    assert [type(event).__name__ for event in log.do(command)] == ["Purged", "Purged", "MessagesAdministered", "BulkAdvanced"]
    assert log.do(command) == []
    rest = purge(log.next(log.queue.bulks["b"].upto, counted_seq))
    log.do(rest)
    assert log.do(EndBulk("b")) != []
    assert log.do(EndBulk("b")) == log.do(rest) == []
    assert (log.queue.bulks["b"].changed, log.queue.bulks["b"].is_over) == (3, True)


def test_an_act_begins_once_and_one_that_means_nothing_is_over() -> None:
    log = Log()
    log.begin()
    log.begin()
    assert log.queue.bulks["b"].is_over
    assert len(log.queue.bulks) == 1


def test_an_edit_sets_values_at_paths_that_are_there() -> None:
    payload = msgspec.msgpack.encode({"customer": {"id": 1}, "lines": [{"n": 1}, {"n": 2}]})
    changed = plain_payloads.edited(payload, {"customer.id": 7, "lines.1.n": 3, "new": None})
    assert plain_payloads.plain_payload(changed or b"") == {"customer": {"id": 7}, "lines": [{"n": 1}, {"n": 3}], "new": None}
    for path in ("nobody.id", "lines.7", "lines.x.n", "customer.id.deeper"):
        assert plain_payloads.edited(payload, {path: 1}) is None
    assert plain_payloads.edited(b"\xc1", {"a": 1}) is None


@pytest.mark.parametrize("size", [10, 1_000, 40_000, 100_000])
def test_commits_of_an_edit_are_bounded_by_what_it_writes_and_not_by_what_was_there(size: int) -> None:
    log = Log()
    log.die(*(f"m{i}" for i in range(30)), payload=msgspec.msgpack.encode({"note": ""}))
    counted = letter_search.count(log.letters, letter_search.CountLetters("type=t"), log.seq)
    log.do(BeginBulk("b", "edit", counted.where, counted.seq, 30, True, {"note": "x" * size}, ACT))
    commits = 0
    while not (bulk := log.queue.bulks["b"]).is_over:
        portion = log.next(bulk.upto, counted.seq)
        command = bulk_acts.next_commit(bulk, portion, 100_000) if portion.letters else EndBulk("b")
        events = log.do(command)
        assert measure(events).bytes <= 100_000 + size + 1_000
        commits += any(isinstance(event, ev.Replayed) for event in events)
    assert bulk.changed == 30
    assert not log.letters.letters
    assert commits <= -(-30 // max(1, 100_000 // (size + 1_000)))


def test_a_letter_that_an_edit_would_make_larger_than_a_commit_is_passed_over() -> None:
    log = Log()
    log.die("small", "large", "other", payload=msgspec.msgpack.encode({"note": ""}))
    portion = log.next(0, log.seq)
    large = portion.letters[1].event
    payload = msgspec.msgpack.encode({"note": "", "rest": "x" * COMMIT_BYTES_MAX})
    letter = attrs.evolve(portion.letters[1], event=ev.evolved(large, published=ev.evolved(large.published, payload=payload)))
    log.do(BeginBulk("b", "edit", "type=t", log.seq, 3, True, {"note": "y"}, ACT))
    portion = portion._replace(letters=[portion.letters[0], letter, portion.letters[2]])
    command = bulk_acts.next_commit(log.queue.bulks["b"], portion, COMMIT_BYTES_MAX)
    assert [item.published.id for item in command.items] == ["small", "other"]
    assert command.passed_over == 1


def test_what_is_published_after_the_count_is_not_cancelled_and_what_ended_meanwhile_is_left() -> None:
    log = Log()
    for ident in ("a", "b", "c"):
        log.do(Publish([Draft(ident, "t", b"", key=ident)]))
    counted = whole(counting(log.queue, CountLive("type=t")))
    log.do(Publish([Draft("late", "t", b"", key="late")]))
    log.do(BeginBulk("b", "cancel", "type=t", counted.seq, 3, True, {}, ACT))
    numbers = whole(finding(log.queue, FindLive("type=t", 0, counted.seq)))
    log.do(Cancel("b", "by another"))
    events = log.do(AdvanceBulk("b", numbers[-1], [], [], cancels=numbers))
    assert [event.number for event in events if isinstance(event, ev.Cancelled)] == [1, 3]
    assert log.do(AdvanceBulk("b", numbers[-1], [], [], cancels=numbers)) == []
    assert (log.queue.bulks["b"].changed, log.queue.live) == (2, 1)


def test_a_look_at_all_messages_rests_and_counts_each_once() -> None:
    """Plain messages lie in blocks; one that is promoted out of its block while the look rests is counted once all the same."""
    log = Log()
    for first in range(0, 3 * PIECE, 100):
        log.do(Publish([Draft(f"{first + i}", "t", b"") for i in range(100)]))
    log.do(Publish([Draft("keyed", "t", b"", key="k")]))
    look = counting(log.queue, CountLive("type=t"))
    next(look)
    for holder in range(3 * PIECE - 1):
        if holder % 500 == 0:
            log.do(CheckOut("t", f"h{holder}", 60, 0))
    next(look)
    next(look)
    with pytest.raises(StopIteration) as end:
        next(look)
    assert end.value.value.by_type == {"t": 3 * PIECE + 1}


@pytest.mark.parametrize("where", ["event=Leased", "reason~stock", "colour=red"])
def test_an_expression_about_what_only_the_log_knows_is_refused_for_live_messages(where: str) -> None:
    with pytest.raises(InvalidMessage, match=where[:5]):
        Log().do(BeginBulk("b", "cancel", where, 0, 0, True, {}, ACT))


@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_what_an_edit_sets_is_no_deeper_than_code_can_follow(depth: int) -> None:
    """The bound is a rule: a peer sends what it wants."""
    value: object = 1
    for _ in range(depth):
        value = {"a": [value]} if depth < 1_000 else [value]
    with pytest.raises(InvalidMessage, match=r"^changes: a value has at most 100"):
        Log().do(BeginBulk("b", "edit", "type=t", 1, 1, True, {"a": value}, ACT))
