"""Dead letters through the front door: listing, statistics, replay, purge, the bound.

How a message gets there is in `test_handling`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.options import DeadLettersFull
    from tests.host.conftest import Collected


@attrs.frozen
class Bill:
    """A message."""

    number: int


@attrs.frozen
class Letter:
    """A message."""

    number: int


def failing_system(
    folder: Path, clock: perdure.ManualClock, broken: set[type], options: perdure.Options | None = None
) -> perdure.System:
    """Return a system whose handlers fail at once for the types in `broken`."""
    system = perdure.System(folder, clock=clock, options=options)

    @system.handler(Bill, retries=0)
    def bill(bill: Bill, ctx: perdure.Context) -> None:
        if Bill in broken:
            raise ValueError(f"bill {bill.number}")

    @system.handler(Letter, retries=1, backoff=perdure.Fixed(0.0))
    def letter(letter: Letter, ctx: perdure.Context) -> None:
        if Letter in broken:
            raise LookupError(f"letter {letter.number}")

    return system


def bury(system: perdure.System, clock: perdure.ManualClock, *messages: object) -> list[str]:
    """Publish messages one by one, a second apart, and wait until each has ended."""
    ids = []
    for message in messages:
        ids.append(system.publish(message))
        system.drain(timeout=10)
        clock.advance(1)
    return ids


def test_list_and_stats(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 24: list by type and reason, newest first, with a limit; stats with oldest and newest; also after a restart."""
    system = failing_system(folder, clock, {Bill, Letter})
    begun = dt.datetime.fromtimestamp(clock.now_us() / 1_000_000, tz=dt.UTC)
    with system:
        ids = bury(system, clock, Bill(1), Letter(2), Bill(3), Letter(4), Bill(5))
    for _ in range(2):
        with system:
            dead = system.dead_letters
            assert [letter.id for letter in dead.list()] == ids[::-1]
            assert [letter.id for letter in dead.list(limit=2)] == ids[:2:-1]
            assert dead.list(limit=0) == []
            assert [letter.message for letter in dead.list(type=Bill)] == [Bill(5), Bill(3), Bill(1)]
            assert [letter.message for letter in dead.list(type=f"{__name__}.Letter", limit=1)] == [Letter(4)]
            assert [letter.message for letter in dead.list(reason="lookuperror")] == [Letter(4), Letter(2)]
            assert [letter.message for letter in dead.list(reason="bill 3")] == [Bill(3)]
            assert dead.list(type=Letter, reason="bill 3") == []
            stats = dead.stats()
            assert (stats.total, stats.by_type) == (5, {f"{__name__}.Bill": 3, f"{__name__}.Letter": 2})
            assert stats.by_reason == {"failed 1 times: ValueError": 3, "failed 2 times: LookupError": 2}
            assert (stats.oldest, stats.newest) == (begun, begun + dt.timedelta(seconds=4))
    with system, pytest.raises(ValueError, match="limit"):
        system.dead_letters.list(limit=-1)


def test_reason_says_what_went_wrong(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 24: the reason has the exception's message, bounded and on one line, and a search for it finds the letter."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Bill, retries=0)
    def pay(bill: Bill, ctx: perdure.Context) -> None:
        raise ValueError(f"bill {bill.number}\nis for nobody" + "!" * 1000 * bill.number)

    with system:
        long, short = bury(system, clock, Bill(1), Bill(0))
        letters = {letter.id: letter for letter in system.dead_letters.list()}
        assert letters[short].reason == "failed 1 times: ValueError: bill 0 is for nobody"
        assert letters[long].reason.startswith("failed 1 times: ValueError: bill 1 is for nobody!!!")
        assert len(letters[long].reason) < 400 < len(letters[long].error)
        for ident, letter in letters.items():
            assert [found.id for found in system.dead_letters.list(reason=letter.reason)] == [ident]
        assert system.dead_letters.stats().by_reason == {"failed 1 times: ValueError": 2}
        assert system.dead_letters.replay_all(reason="failed 1 times: ValueError", dry_run=True) == 2


def test_stats_without_any(folder: Path) -> None:
    """Scenario 24: without dead letters the list is empty and stats are zero."""
    with perdure.System(folder) as system:
        stats = system.dead_letters.stats()
        assert (stats.total, stats.by_type, stats.by_reason, stats.oldest, stats.newest) == (0, {}, {}, None, None)
        assert system.dead_letters.list() == []


def test_replay_resets_retries(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 25: a replayed message is handled and no longer a dead letter; its attempts count from one."""
    broken: set[type] = {Letter}
    system = failing_system(folder, clock, broken)
    with system:
        (ident,) = bury(system, clock, Letter(1))
        broken.clear()
        system.dead_letters.replay(ident)
        system.drain(timeout=10)
        assert system.dead_letters.list() == []
        assert (system.admin.metrics().replayed, system.admin.metrics().completed) == (1, 1)
        story = [type(r.event).__name__ for r in system.audit.timeline(ident)]
        assert story[-4:] == ["DeadLettered", "Replayed", "Leased", "Completed"]


@pytest.mark.parametrize(("reset", "attempts"), [(True, [1, 2, 1, 2]), (False, [1, 2, 3])])
def test_replay_counts_on_unless_reset(
    folder: Path, clock: perdure.ManualClock, collected: Collected, reset: bool, attempts: list[int]
) -> None:
    """Scenario 25: without a reset of its retries it gets one more attempt, with a reset all of them."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Letter, retries=1, backoff=perdure.Fixed(0.0))
    def handle(letter: Letter, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        raise LookupError("still broken")

    with system:
        (ident,) = bury(system, clock, Letter(1))
        system.dead_letters.replay(ident, reset_retries=reset)
        system.drain(timeout=10)
        assert collected.items == attempts
        (letter,) = system.dead_letters.list()
        assert letter.attempts == attempts[-1]
        assert len(letter.failures) == (2 if reset else 3)


def test_replay_all_of_a_type(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 26: replay all of one type; letters of the other type stay."""
    broken: set[type] = {Bill, Letter}
    system = failing_system(folder, clock, broken)
    with system:
        bury(system, clock, Bill(1), Letter(2), Bill(3))
        broken.remove(Bill)
        assert system.dead_letters.replay_all(type=Bill) == 2
        system.drain(timeout=10)
        assert [letter.message for letter in system.dead_letters.list()] == [Letter(2)]
        assert system.admin.metrics().completed == 2
        assert system.dead_letters.replay_all(type=Bill) == 0


def test_purge(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 26: purge letters older than a time, then all; they stay purged after a restart."""
    system = failing_system(folder, clock, {Bill})
    with system:
        bury(system, clock, *(Bill(n) for n in range(5)))
        assert system.dead_letters.purge(older_than=dt.timedelta(seconds=3.5)) == 2
        assert [letter.message for letter in system.dead_letters.list()] == [Bill(4), Bill(3), Bill(2)]
        third = system.dead_letters.list()[-1].failed_at
        assert system.dead_letters.purge(older_than=third + dt.timedelta(milliseconds=1)) == 1
        assert system.dead_letters.purge(older_than=1.5) == 1
    with system:
        assert [letter.message for letter in system.dead_letters.list()] == [Bill(4)]
        assert system.dead_letters.purge() == 1
        assert system.dead_letters.purge() == 0
        metrics = system.admin.metrics()
        assert (metrics.purged, metrics.dead_letters, metrics.dead_lettered) == (5, 0, 5)


def test_replay_of_an_unknown_id_is_a_clear_error(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 26: the error names the id and says where to look, also for a live message and a second replay."""
    broken: set[type] = {Bill}
    with failing_system(folder, clock, broken) as system:
        (dead,) = bury(system, clock, Bill(1))
        system.admin.pause()
        alive = system.publish(Bill(2))
        for ident in ("nobody", alive):
            with pytest.raises(perdure.UnknownMessage, match=ident) as caught:
                system.dead_letters.replay(ident)
            assert "dead_letters.list()" in str(caught.value)
        system.dead_letters.replay(dead)
        with pytest.raises(perdure.UnknownMessage):
            system.dead_letters.replay(dead)
        with pytest.raises(perdure.UnknownMessage):
            system.dead_letters.get(dead)
        assert system.admin.metrics().ready == 2


def test_replay_beside_a_newer_message_of_its_key(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 25: a replayed dead letter does not replace the newer message that holds its key."""
    with failing_system(folder, clock, {Bill}) as system:
        old = system.publish(Bill(1), key="k")
        system.drain(timeout=10)
        system.admin.pause()
        new = system.publish(Bill(2), key="k")
        with pytest.raises(perdure.DuplicateKey, match=new) as caught:
            system.dead_letters.replay(old)
        assert caught.value.live_id == new
        assert [letter.id for letter in system.dead_letters.list()] == [old]


def test_the_bound(folder: Path, clock: perdure.ManualClock) -> None:
    """Scenario 27: at the bound the oldest letter is purged, which is an event and counts in the metrics."""
    options = perdure.Options(dead_letters_max=2)
    with failing_system(folder, clock, {Bill}, options) as system:
        first, *_ = bury(system, clock, Bill(1), Bill(2), Bill(3))
        assert [letter.message for letter in system.dead_letters.list()] == [Bill(3), Bill(2)]
        purged = list(system.audit.events(type="Purged"))
        assert [record.message_id for record in purged] == [first]
        assert "bound of 2 dead letters" in events_of(ev.Purged, purged)[0].reason
        metrics = system.admin.metrics()
        assert (metrics.dead_letters, metrics.purged, metrics.dead_lettered) == (2, 1, 3)


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Report:
    name: str


def test_pages_dry_runs_and_partial_purges(folder: Path) -> None:
    """Scenarios 24 and 26, further: pages, a dry run before a replay, purging by type and reason."""
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    def work(job: Job, ctx: perdure.Context) -> None:
        raise perdure.Reject("odd" if job.number % 2 else "even")

    with system:
        system.publish_many([Job(n) for n in range(10)])
        system.drain(timeout=10.0)
        pages: list[int] = []
        before = None
        while page := system.dead_letters.list(limit=3, before=before):
            pages += [letter.message.number for letter in page]
            before = page[-1].id
        assert pages == list(reversed(range(10)))
        assert system.dead_letters.replay_all(reason="odd", dry_run=True) == 5
        assert system.admin.metrics().replayed == 0
        assert system.dead_letters.purge(reason="even") == 5
        assert system.dead_letters.purge(type=Report) == 0
        assert system.dead_letters.stats().by_reason == {"odd": 5}


@pytest.mark.parametrize(("full", "kept"), [("drop_oldest", [7, 6, 5]), ("drop_newest", [2, 1, 0])])
def test_what_happens_at_the_bound_is_an_option(folder: Path, full: DeadLettersFull, kept: list[int]) -> None:
    """Scenario 27: either way it is on record and in the metrics."""
    system = perdure.System(folder, options=perdure.Options(dead_letters_max=3, dead_letters_full=full))
    system.handler(Job, retries=0)(lambda job: [][job.number])
    with system:
        for n in range(8):
            system.publish(Job(n))
        system.drain(timeout=10.0)
        assert [letter.message.number for letter in system.dead_letters.list()] == kept
        assert system.admin.metrics().purged == 5
        assert len(list(system.audit.events(type="Purged"))) == 5
