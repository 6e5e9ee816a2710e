"""One pass decides a bounded number of events and of the bytes that they carry: every folder can be opened at the next start.

How events are measured is in tests/events/codec/test_commit_size, what falls due at one instant in test_deadlines_at_once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.messages import Append, Outcomes
from perdure.actors.journal import journal
from perdure.actors.queue import decision_pass
from perdure.actors.requests.answers import Settle
from perdure.chaos import SimulatedSystem
from perdure.chaos.disk.memory_disk import Killed, MemoryDisk
from perdure.events import commit_size, vocabulary
from perdure.events.codec.wire import decode, encode
from perdure.events.commands import Draft, Fail, Publish, Replay
from perdure.events.handlers import registry as handler_rules
from perdure.events.queue import deadlines
from perdure.events.queue.dead_letters import replay_item
from perdure.events.queue.searching.letter_search import Selection
from perdure.store import SegmentStore
from perdure.store.format import frame as store_frame

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.events import vocabulary as ev

PASS_EVENTS = 6
LOOK = 4


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Child:
    number: int


def too_long(_runtime: Any, _pool: Any, delivery: WorkerDelivery, _error: BaseException) -> Fail:
    number, ident, attempt = delivery.attempt_ref
    return Fail(number, ident, attempt, "E", "x" * 30_000, "", 0)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_pass, "PASS_EVENTS", PASS_EVENTS)
    monkeypatch.setattr(deadlines, "LOOK_MAX", LOOK)


def batches(system: SimulatedSystem, after: int = 0) -> list[list[ev.Event]]:
    """Return the events of each append."""
    found: list[list[ev.Event]] = []
    for frame in system._store.frames():
        found += [events for _, events in decode(frame.body, frame.count)]
    return found[after:]


def check(found: list[list[ev.Event]], atom: int) -> None:
    """No append holds more than a full pass and the one thing that filled it."""
    assert max(map(len, found)) < PASS_EVENTS + atom, Counter(map(len, found))


def test_many_messages_that_expire_at_one_instant() -> None:
    """Messages whose results are kept, more than may be: the bound on results holds, and every wait is answered."""
    options = perdure.Options(results_max=20)
    system = SimulatedSystem(options=options)
    with system:
        before = len(batches(system))
        for _ in range(6):
            system.publish_many([Job(n) for n in range(20)], ttl=60.0, keep_result=86_400.0)
        system.advance(3_600.0)
        numbers = system.admin.metrics()
        assert (numbers.expired, numbers.ready) == (120, 0)
        check(batches(system, before), 20)
        held: Any = system.runtime.directory.actors["queue"]
        assert len(held.state.results) == 20
        assert system.publish(Job(1))
    assert not system.executor.crashes


def test_many_messages_that_wake_at_one_instant_come_in_order() -> None:
    handled: list[int] = []
    system = SimulatedSystem()
    system.handler(Job, parallelism=1)(lambda job: handled.append(job.number))
    with system:
        before = len(batches(system))
        at = system.clock.now_us() / 1_000_000 + 60
        for n in range(100):
            system.publish(Job(n), at=at)
        system.advance(120.0)
        assert handled == list(range(100))
        check(batches(system, before), LOOK + 1)


def test_publish_is_answered_while_much_falls_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_MAX", 1)
    system = SimulatedSystem()
    with system:
        system.publish_many([Job(n) for n in range(200)], ttl=60.0)
        system.executor.clock.advance(100.0)
        future = system.submit(Child(1))
        system.executor.run_until(future.done)
        queue: Any = system.runtime.directory.actors["queue"]
        assert queue.state.live > 100, "it did not wait for all of them"
        system.run_until_idle()
        assert system.admin.metrics().expired == 200


def test_checkout_passes_over_what_has_expired() -> None:
    with SimulatedSystem() as system:
        system.publish_many([Job(n) for n in range(50)], ttl=60.0)
        last = system.publish(Job(99))
        system.executor.clock.advance(100.0)
        delivery = system.checkout(Job)
        assert delivery is not None
        assert delivery.id == last


def test_batch_that_fails_with_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch handler of many messages that raises an error of 4,000 characters of two bytes."""
    monkeypatch.setattr(decision_pass, "PASS_EVENTS", 20_000)
    monkeypatch.setattr(decision_pass, "PASS_BYTES", 100_000)
    system = SimulatedSystem()

    @system.batch_handler(Job, size=40, wait=1.0, retries=0)
    def fail(batch: perdure.Batch[Job]) -> None:
        raise ValueError("\u00e9" * 4_000)

    with system:
        system.publish_many([Job(n) for n in range(40)])
        system.advance(10.0)
        assert system.admin.metrics().dead_letters == 40
        sizes = [len(encode([(1, events)])) for events in batches(system)]
        assert max(sizes) < 100_000 + 60_000
        assert sum(sizes) > 1_000_000
    assert not system.executor.crashes


def test_leases_are_taken_back_in_parts_whatever_dies_in_between() -> None:
    disk = MemoryDisk()
    system = SimulatedSystem(disk=disk)
    system.start()
    system.publish_many([Job(n) for n in range(40)])
    for _ in range(40):
        assert system.checkout(Job, lease=1e6) is not None
    system.executor.forget_all()
    disk.owner = None
    attempts = Counter[int]()
    deaths = 0
    following = SimulatedSystem(disk=disk)
    disk.before_each = lambda _name: following.executor.point()
    while deaths < 60:
        following.executor.die_after = 1 + deaths
        try:
            following.start()
            following.run_until_idle()
        except Killed:
            deaths += 1
            following.executor.forget_all()
            disk.owner = None
            following = SimulatedSystem(disk=disk)
        else:
            break
    assert 3 < deaths < 60
    following.executor.die_after = 0
    with_all = batches(following)
    check([[e for e in events if isinstance(e, vocabulary.LeaseExpired)] for events in with_all], 1)
    for events in with_all:
        attempts.update(e.number for e in events if isinstance(e, vocabulary.LeaseExpired))
    assert set(attempts.values()) == {1}
    assert len(attempts) == 40
    following.stop()


def test_results_kept_past_a_lower_bound_are_dropped_at_the_start() -> None:
    disk = MemoryDisk()
    with SimulatedSystem(disk=disk) as system:
        for n in range(50):
            system.publish(Job(n), key="k", keep_result=86_400.0)
    following = SimulatedSystem(disk=disk, options=perdure.Options(results_max=7))
    following.handler(Child)(lambda child: None)
    with following as system:
        queue: Any = system.runtime.directory.actors["queue"]
        assert len(queue.state.results) == 7
        check(batches(system)[-20:], LOOK)
        assert not system.executor.crashes


def test_purge_of_many_is_not_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.operations.dead_letters.PURGE_COMMIT_MAX", 5)
    system = SimulatedSystem()

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError(job.number)

    with system:
        system.publish_many([Job(n) for n in range(23)])
        system.advance(1.0)
        before = len(batches(system))
        assert system.dead_letters.purge() == 23
        with_the_act = [len(events) for events in batches(system, before)]
        assert with_the_act == [6, 6, 6, 6, 4]
        assert system.dead_letters.list() == []


# --- what belongs together, and is too much -------------------------------------------------------------------------------


def test_publish_of_more_than_a_commit_takes_is_refused_at_the_door() -> None:
    options = perdure.Options(batch_max=200_000)
    with SimulatedSystem(options=options) as system:
        heavy = {str(n): "\u20ac" * 120 for n in range(60)}
        with pytest.raises(perdure.PayloadTooLarge, match="more than one commit takes"):
            system.publish_many([Job(n) for n in range(4_000)], headers=heavy)
        assert system.admin.metrics().published == 0
        assert len(system.publish_many([Job(n) for n in range(500)], headers=heavy)) == 500


def test_options_do_not_allow_a_batch_that_no_frame_takes() -> None:
    with pytest.raises(ValueError, match=r"batch_max must be a whole number >= 1 and <= 200,000"):
        perdure.Options(batch_max=200_001)


def test_what_the_queue_cannot_commit_is_refused_and_nothing_of_it_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what gets past the front door: one publish alone, beside others that came with it."""
    monkeypatch.setattr(commit_size, "COMMIT_BYTES_MAX", 3_000)
    with SimulatedSystem() as system:
        name = system.drafts.names.name(Job)
        futures = [system.submit(Job(n)) for n in range(20)]
        with pytest.raises(perdure.PayloadTooLarge, match=r"Publish: 1 events .* Nothing of it was done"):
            system.ask("queue", Publish([Draft("big", name, b"x" * 4_000)]))
        system.run_until_idle()
        assert all(future.result(0) for future in futures)
        assert system.admin.metrics().published == 20
    assert not system.executor.crashes


def test_handler_that_publishes_more_than_a_commit_takes_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_size, "COMMIT_BYTES_MAX", 19_000)
    raised: list[str] = []
    system = SimulatedSystem()

    @system.handler(Job, retries=0)
    def spread(job: Job, ctx: perdure.Context) -> None:
        try:
            for n in range(100):
                ctx.publish(Child(n), headers={"h": "\u20ac" * 50})
        except perdure.PayloadTooLarge as error:
            raised.append(str(error))

    with system:
        system.publish(Job(1))
        system.advance(1.0)
        assert len(raised) == 1
        assert 3 < system.admin.metrics().ready < 20, "those before it are published"


def test_replay_of_more_than_a_commit_takes_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    system = SimulatedSystem()

    @system.handler(Job, retries=0)
    def fail(job: Job) -> None:
        raise ValueError("\u20ac" * 1_000)

    with system:
        system.publish_many([Job(n) for n in range(20)])
        system.advance(1.0)
        system.admin.pause(Job)
        monkeypatch.setattr(commit_size, "COMMIT_BYTES_MAX", 20_000)
        letters = system.ask("dead_letters", Selection())
        with pytest.raises(perdure.PayloadTooLarge, match=Replay.__name__):
            system.ask("queue", Replay([replay_item(letter, reset_retries=False) for letter in letters]))
        assert system.admin.metrics().dead_letters == 20
        monkeypatch.undo()
        assert system.dead_letters.replay_all(reset_retries=False) == 20


def test_change_of_a_handler_that_no_frame_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    system = SimulatedSystem()
    system.handler(Job)(lambda job: None)
    with system:
        monkeypatch.setattr(commit_size, "COMMIT_BYTES_MAX", 3_000)
        name = system.drafts.names.name(Job)
        with pytest.raises(perdure.PayloadTooLarge, match="Configure"):
            system.ask("dispatcher", handler_rules.Configure(name, {"retries": {"x": "y" * 4_000}}))
        system.admin.scale(Job, 2)
        assert system.admin.handlers()[name].parallelism == 2
    assert not system.executor.crashes


# --- the journal, where a decider has let too much through -----------------------------------------------------------------


@pytest.fixture
def tiny_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_frame, "FRAME_BYTES_MAX", 20_000)
    monkeypatch.setattr(journal, "FRAME_BYTES_MAX", 10_000)


@pytest.mark.usefixtures("tiny_frames")
def test_journal_refuses_the_request_that_no_frame_takes_and_lives() -> None:
    with SimulatedSystem(options=perdure.Options(restart_budget=0)) as system:
        name = system.drafts.names.name(Job)
        with pytest.raises(perdure.InvalidMessage, match=r"cannot be put on record: .*more than one frame takes"):
            system.ask("queue", Publish([Draft("big", name, b"x" * 30_000)]))
        assert system.publish(Job(1))
        numbers = system.admin.metrics()
        assert (numbers.published, numbers.runtime_counters.get("actor_deaths", 0)) == (1, 0)


@pytest.mark.usefixtures("tiny_frames")
def test_journal_fails_the_outcome_that_no_frame_takes_and_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    system = SimulatedSystem(options=perdure.Options(restart_budget=0))
    monkeypatch.setattr("perdure.actors.workers.outcome.Failures.failure", too_long)

    @system.handler(Job, retries=1)
    def work(job: Job) -> None:
        if job.number == 3:
            raise ValueError

    with system:
        system.publish_many([Job(n) for n in range(6)])
        system.advance(30.0)
        (letter,) = system.dead_letters.list()
        assert letter.exception == "perdure.InvalidMessage"
        numbers = system.admin.metrics()
        assert (numbers.completed, numbers.runtime_counters.get("actor_deaths", 0)) == (5, 0)


@pytest.mark.usefixtures("tiny_frames")
def test_appends_are_grouped_by_their_size_before_they_are_encoded() -> None:
    """Else a hundred large ones would be encoded together, and again in halves, before the first is written."""
    with SimulatedSystem() as system:
        queue: Any = system.runtime.directory.actors["queue"]
        largest = [0]
        usual = encode

        def watched(found: Any) -> bytes:
            body = usual(found)
            largest[0] = max(largest[0], len(body))
            return body

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "encode", watched)
            for n in range(100):
                published = vocabulary.Published(1000 + n, f"m{n}", "t", b"x" * 3_000)
                system.runtime.directory.tell("journal", Append("queue", queue.term, 0, [published], [], []))
            system.run_until_idle()
        assert 3_000 < largest[0] <= 10_000


def test_memory_store_takes_no_frame_that_a_folder_would_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store_frame, "COUNT_MAX", 10)
    for store in (perdure.MemoryStore(), SegmentStore(tmp_path / "data")):
        store.open()
        with pytest.raises(ValueError, match="past the bound"):
            store.append(b"x", 11, expected_seq=1)
        store.append(b"x", 10, expected_seq=1)
        store.close()


def test_outcomes_are_still_one_request_each() -> None:
    """Cut in parts, they are answered once, with the last part."""
    system = SimulatedSystem()
    system.handler(Job, parallelism=8, retries=0)(lambda job: 1 / 0)
    sent: list[Any] = []
    with system:
        system.publish_many([Job(n) for n in range(60)])
        tell = system.runtime.directory.tell

        def listening(name: str, message: Any) -> None:
            if isinstance(message, Append):
                sent.extend(e for e in message.written if isinstance(e, Settle) and isinstance(e.request.command, Outcomes))
            tell(name, message)

        system.runtime.directory.tell = listening
        system.advance(5.0)
        assert system.admin.metrics().dead_letters == 60
    keys = [effect.request.key for effect in sent]
    assert len(keys) == len(set(keys))
