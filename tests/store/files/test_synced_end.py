"""Bytes that an owner has synced and can no longer read are damage, where another process could take them for a torn tail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import StoreCorrupt
from perdure.store import FolderReader, SegmentStore

if TYPE_CHECKING:
    from pathlib import Path


def test_damage_of_the_last_synced_frame_is_no_torn_tail_to_its_owner(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    for n in range(3):
        store.append(b"%d" % n * 50, 1, expected_seq=n + 1)
        store.sync()
    path = next(tmp_path.glob("*.seg"))
    torn = bytearray(path.read_bytes())
    torn[-30] ^= 1
    path.write_bytes(torn)  # in place: the same file
    assert [frame.last_seq for frame in FolderReader(tmp_path).frames()] == [1, 2]
    read: list[object] = []
    with pytest.raises(StoreCorrupt, match="up to 3 was written and synced") as caught:
        read.extend(store.frames())
    assert caught.value.seq == 3
    with pytest.raises(StoreCorrupt):
        read.extend(store.frames(2))
    assert [frame.last_seq for frame in store.frames(0, 2)] == [1, 2]
    store.abandon()


def test_what_is_not_synced_may_be_missing(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"one", 1, expected_seq=1)
    store.sync()
    store.append(b"two", 1, expected_seq=2)
    path = next(tmp_path.glob("*.seg"))
    torn = bytearray(path.read_bytes())
    torn[-1] ^= 1
    path.write_bytes(torn)
    assert [frame.last_seq for frame in store.frames()] == [1]
    store.abandon()
