"""Relative paths mean what they meant when they were given, whatever the working directory becomes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Begin in one directory; the function goes to another."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda: monkeypatch.chdir(tmp_path / "there")


def test_a_system_starts_where_it_was_made(tmp_path: Path, leave: Callable[[], None]) -> None:
    options = perdure.Options(history="archive", history_folder="old", segment_bytes=1 << 16)
    system = perdure.System("data", options=options)
    leave()
    with system:
        system.handler(str)(lambda _: None)
        for _ in range(6):
            system.publish_many([os.urandom(1000).hex() for _ in range(60)])
            system.drain()
            system.admin.snapshot()
    assert {path.name for path in tmp_path.glob("*/*")} == {"data", "old"}
    assert not [*(tmp_path / "there").iterdir()]


def test_an_audit_and_a_client_stay_at_their_folder(tmp_path: Path, leave: Callable[[], None]) -> None:
    with perdure.System(tmp_path / "here" / "data", shared=True) as system:
        audit, client = perdure.Audit("data"), perdure.connect("data")
        leave()
        with client:
            ident = client.publish("a")
        assert system.state(ident).known
        assert [record.message_id for record in audit.timeline(ident)] == [ident]


@pytest.mark.parametrize("make", [perdure.System, perdure.Audit, perdure.connect])
def test_a_relative_path_in_a_removed_directory_is_refused(
    tmp_path: Path, leave: Callable[[], None], make: Callable[[str], object]
) -> None:
    leave()
    (tmp_path / "there").rmdir()
    with pytest.raises(perdure.StoreUnavailable, match="folder: 'data' is relative, and the working directory is gone"):
        make("data")
