"""What a deputy has folded of a log is used only where the log still holds exactly that, and is then all that the log says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.journal.log_fold import fold_log
from perdure.actors.journal.warm_fold import BEHIND_MAX, WarmFold
from perdure.events import vocabulary as ev
from perdure.events.codec.wire import encode
from perdure.events.errors import StoreUnavailable
from perdure.store import FolderReader, History, SegmentStore, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINISHED_MAX = 1_000
RESIDENT_BYTES = 1 << 20


class Owner:
    """A process that owns a log, and publishes into it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.store = SegmentStore(folder, **options)
        self.recovered = self.store.open()
        self.published = fold_log(self.store)[0].queue.next_number - 1

    def publish(self, times: int = 1, payload: bytes = b"a") -> None:
        """Write a frame of messages, not synced yet."""
        numbers = range(self.published + 1, self.published + times + 1)
        events: list[ev.Event] = [ev.Published(number, f"m{number}", "t", payload) for number in numbers]
        self.store.append(encode([(1, events)]), times, expected_seq=self.store.last_seq + 1)
        self.published += times

    def lose_what_is_not_synced(self) -> None:
        """A sync fails: what was written since the last good one is void."""
        self.store.reopen(void_after=self.store.synced_seq)
        self.published = fold_log(self.store)[0].queue.next_number - 1

    def save_snapshot(self) -> None:
        states, _ = fold_log(self.store)
        self.store.save_snapshot(Snapshot(states.seq, states.chunks))

    def die(self) -> None:
        """As by kill -9: what is written is in the file, and nothing is sealed."""
        self.store.abandon()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path / "log")
    for _ in range(10):
        owner.publish(5)
    owner.store.sync()
    yield owner
    owner.die()


def deputy(owner: Owner, resident_max: int = RESIDENT_BYTES) -> WarmFold:
    """Return a fold of the log as it is now, by a reader of its own."""
    store = owner.store
    fold = WarmFold(lambda: FolderReader(store.path), finished_max=FINISHED_MAX, resident_max=resident_max, spill=store.spill)
    fold.follow()
    return fold


def what_an_ordinary_start_finds(store: SegmentStore) -> bytes:
    return fold_log(store, finished_max=FINISHED_MAX)[0].encode()


def taken_over(fold: WarmFold, store: SegmentStore) -> bytes | None:
    """Return what a takeover finds that begins from the fold; None: the fold does not fit the log."""
    warm = fold.take(store)
    if warm is None:
        return None
    states, base = fold_log(store, finished_max=FINISHED_MAX, warm=warm)
    assert states is warm, "only what came after it was folded"
    assert base <= states.seq == store.last_seq
    return states.encode()


def test_what_is_folded_and_what_came_after_are_all_that_the_log_says(owner: Owner) -> None:
    fold = deputy(owner)
    assert fold.seq == 50
    owner.publish(7)
    fold.follow()
    assert fold.seq == 57
    owner.publish(3)
    owner.die()
    after = SegmentStore(owner.store.path)
    after.open()
    try:
        assert taken_over(fold, after) == what_an_ordinary_start_finds(after)
        assert fold.seq == 0, "it is the next owner's, and kept nowhere else"
        assert fold.take(after) is None
    finally:
        after.abandon()


def test_where_a_failed_sync_took_back_what_was_folded_the_fold_is_not_used(owner: Owner) -> None:
    """As many events follow as there were: only the chain hash tells them from those that were folded."""
    owner.publish(5, b"void")
    fold = deputy(owner)
    owner.lose_what_is_not_synced()
    assert owner.store.last_seq == 50
    owner.publish(5, b"true")
    owner.store.sync()
    owner.die()
    after = SegmentStore(owner.store.path)
    after.open()
    try:
        assert fold.seq == after.last_seq == 55
        assert taken_over(fold, after) is None
    finally:
        after.abandon()


@pytest.mark.parametrize("written", [0, 3, 5, 8])
def test_a_deputy_that_looks_again_after_a_failed_sync_folds_the_log_anew(owner: Owner, written: int) -> None:
    """Fewer, as many, and more events were written since than the sync took back; or none."""
    owner.publish(5, b"void")
    fold = deputy(owner)
    owner.lose_what_is_not_synced()
    if written:
        owner.publish(written, b"true")
    with pytest.raises(StoreUnavailable, match="cut back"):
        fold.follow()
    assert fold.seq == 0
    fold.follow()
    assert fold.seq == 50 + written
    assert taken_over(fold, owner.store) == what_an_ordinary_start_finds(owner.store)


def test_a_frame_of_which_the_disk_has_lost_a_part_is_not_in_the_fold_that_is_used(owner: Owner) -> None:
    """The next owner cuts a torn end off; a fold that had read it whole, when it was in memory, goes with it."""
    owner.publish(5, b"torn")
    fold = deputy(owner)
    owner.die()
    segment = max(owner.store.path.glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-3])
    after = SegmentStore(owner.store.path)
    assert after.open().cut_bytes
    try:
        assert taken_over(fold, after) is None
    finally:
        after.abandon()


def test_an_owner_that_drops_history_leaves_the_fold_as_good_as_it_was(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log", segment_bytes=2_000, history=History("drop"))
    owner.publish()
    fold = deputy(owner)
    for _ in range(25):
        owner.publish(5, b"x" * 50)
        owner.store.sync()
        fold.follow()
        owner.save_snapshot()
        owner.store.retire_history()
    assert owner.store.first_seq > 60
    assert fold.seq == owner.store.last_seq
    assert taken_over(fold, owner.store) == what_an_ordinary_start_finds(owner.store)
    owner.die()


def test_a_deputy_that_is_behind_dropped_history_begins_again_with_a_snapshot(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log", segment_bytes=2_000, history=History("drop"))
    owner.publish()
    fold, late = deputy(owner), deputy(owner)
    for _ in range(25):
        owner.publish(5, b"x" * 50)
        owner.store.sync()
        owner.save_snapshot()
    owner.store.retire_history()
    assert owner.store.first_seq > 60
    with pytest.raises(StoreUnavailable):
        fold.follow()
    fold.follow()
    assert taken_over(fold, owner.store) == what_an_ordinary_start_finds(owner.store)
    assert taken_over(late, owner.store) is None, "it had not even looked: nothing says whether it fits"
    owner.die()


def test_a_fold_far_behind_the_newest_snapshot_is_not_used(owner: Owner) -> None:
    near, far = deputy(owner), deputy(owner)
    owner.publish(BEHIND_MAX - 1)
    owner.save_snapshot()
    assert taken_over(near, owner.store) is not None
    owner.publish(2)
    owner.save_snapshot()
    assert taken_over(far, owner.store) is None


def test_payloads_beyond_the_bound_of_memory_wait_on_disk(owner: Owner) -> None:
    fold = deputy(owner, resident_max=0)
    owner.publish(9_000, b"p" * 100)
    fold.follow()
    warm = fold.take(owner.store)
    assert warm is not None
    assert warm.queue.spilled_bytes > 0
    assert warm.encode() == what_an_ordinary_start_finds(owner.store)


def test_what_an_interrupted_look_has_folded_is_a_fold_of_the_log_up_to_there(owner: Owner) -> None:
    fold = deputy(owner)
    fold.interrupt()
    owner.publish(5)
    owner.publish(5)
    fold.follow()
    assert fold.seq == 50, "it folds no more"
    assert taken_over(fold, owner.store) == what_an_ordinary_start_finds(owner.store)


def test_a_log_without_events_has_no_fold(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "log")
    fold = deputy(owner)
    assert fold.seq == 0
    assert fold.take(owner.store) is None
    owner.publish(3)
    fold.follow()
    assert taken_over(fold, owner.store) == what_an_ordinary_start_finds(owner.store)
    owner.die()
