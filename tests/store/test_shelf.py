"""Payloads on the shelf come back as they were, in any order, and take no room on the disk once nobody has them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from perdure.store import shelf as shelves
from perdure.store.shelf import Shelf


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - the same each time
    shelf = Shelf(tmp_path)
    boxes = [[chance.randbytes(chance.choice((0, 1, 7, 3000))) for _ in range(chance.randrange(1, 40))] for _ in range(30)]
    shelved = [shelf.put(box) for box in boxes]
    for i in chance.sample(range(30), 30):
        assert list(shelved[i]) == boxes[i]
        assert len(shelved[i]) == len(boxes[i])
        assert shelved[i][-1] == boxes[i][-1]
        assert shelved[i][2:9] == boxes[i][2:9]
        assert shelved[i][::3] == boxes[i][::3]
        assert [shelved[i].length(k) for k in range(len(boxes[i]))] == [len(payload) for payload in boxes[i]]
    with pytest.raises(IndexError):
        shelved[0][len(boxes[0])]


def test_it_leaves_no_names_and_gives_back_its_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "FILE_BYTES", 10_000)
    shelf = Shelf(tmp_path)
    before = _open_files()
    shelved = [shelf.put([bytes(6000)]) for _ in range(6)]
    assert _open_files() == before + 3
    assert list(tmp_path.iterdir()) == []
    del shelved[:4]
    assert _open_files() == before + 1
    assert shelved[0][0] == bytes(6000)
