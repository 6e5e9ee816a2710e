"""Spilled payloads come back as they were, in any order, and take no space on the disk once they are dropped."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from perdure.store.files import payload_spill
from perdure.store.files.payload_spill import PayloadSpill


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    rng = random.Random(5)
    spill = PayloadSpill(tmp_path)
    boxes = [[rng.randbytes(rng.choice((0, 1, 7, 3000))) for _ in range(rng.randrange(1, 40))] for _ in range(30)]
    spilled = [spill.put(box) for box in boxes]
    for i in rng.sample(range(30), 30):
        assert list(spilled[i]) == boxes[i]
        assert len(spilled[i]) == len(boxes[i])
        assert spilled[i][-1] == boxes[i][-1]
        assert spilled[i][2:9] == boxes[i][2:9]
        assert spilled[i][::3] == boxes[i][::3]
        assert [spilled[i].length(k) for k in range(len(boxes[i]))] == [len(payload) for payload in boxes[i]]
    with pytest.raises(IndexError):
        spilled[0][len(boxes[0])]


def test_files_have_no_names_and_free_their_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_spill, "FILE_BYTES", 10_000)
    spill = PayloadSpill(tmp_path)
    before = _open_files()
    spilled = [spill.put([bytes(6000)]) for _ in range(6)]
    assert _open_files() == before + 3
    assert list(tmp_path.iterdir()) == []
    assert spill.size == 36_000
    del spilled[:4]
    assert _open_files() == before + 1
    assert spill.size == 12_000
    assert spilled[0][0] == bytes(6000)
