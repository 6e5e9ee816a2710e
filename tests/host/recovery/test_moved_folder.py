"""A system whose folder is moved, deleted or replaced stops at once; its error names where acknowledged messages are.

The store by itself is in `tests/store/files/test_moved_folder`.
"""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Until


@attrs.frozen
class Note:
    """A message."""

    text: str


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def replace(folder: Path) -> None:
    move(folder)
    with perdure.System(folder) as other:
        other.publish(Note("of the other"))


def delete(folder: Path) -> None:
    shutil.rmtree(folder)


def restore(folder: Path) -> None:
    """Replace the newest segment by a copy without its last event."""
    path = max(folder.glob("*.seg"))
    path.write_bytes(path.read_bytes()[:100])


HARMS = [move, replace, delete, restore]


@pytest.mark.parametrize("harm", HARMS)
def test_the_system_stops_at_once_and_says_what_happened(folder: Path, until: Until, harm: Callable[[Path], None]) -> None:
    system = perdure.System(folder)
    system.start()
    ids = [system.publish(Note(str(n))) for n in range(5)]
    harm(folder)
    with pytest.raises((perdure.FolderMoved, perdure.NotRunning)) as caught:
        system.publish(Note("later"))
    assert str(folder) in str(caught.value)
    until(lambda: not system.running)
    with pytest.raises(perdure.NotRunning) as refused:
        system.publish(Note("later"))
    assert isinstance(refused.value.__cause__, perdure.FolderMoved)
    system.stop()
    if (moved := folder.with_name("moved")).exists():
        audit = perdure.Audit(moved)
        assert audit.verify().ok
        assert [record.message_id for record in audit.events(type="Published")] == ids


@pytest.mark.parametrize("harm", HARMS)
def test_stop_does_not_raise(folder: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder)
    system.start()
    system.publish(Note("a"))
    harm(folder)
    system.stop()
    assert "ERROR" in {record.levelname for record in caplog.records}, "it is logged all the same"
    if harm is not restore:
        with system:  # the folder that has the name now can be used
            system.publish(Note("b"))


@pytest.mark.parametrize("harm", [move, delete, restore])
def test_requested_snapshot_raises_the_same_error(folder: Path, until: Until, harm: Callable[[Path], None]) -> None:
    system = perdure.System(folder)
    system.start()
    system.publish(Note("a"))
    harm(folder)
    with pytest.raises((perdure.FolderMoved, perdure.NotRunning), match=folder.name):
        system.admin.snapshot()
    until(lambda: not system.running)
    system.stop()


def test_a_killed_journal_does_not_open_another_log(folder: Path, until: Until) -> None:
    """A new journal would give new events the numbers of acknowledged ones."""
    system = perdure.System(folder)
    system.start()
    system.publish(Note("a"))
    replace(folder)
    system.actors.kill("journal")
    until(lambda: not system.running)
    system.stop()
    with perdure.System(folder) as other:
        delivery = other.checkout(Note)
        assert delivery is not None
        assert delivery.message == Note("of the other")
    assert perdure.Audit(folder).verify().ok


def test_what_a_system_verifies_is_the_folder_that_it_uses(folder: Path) -> None:
    with perdure.System(folder) as system:
        ids = [system.publish(Note(str(n))) for n in range(5)]
        replace(folder)
        assert system.audit.verify().events > len(ids)


@pytest.mark.parametrize("harm", [move, replace])
def test_what_was_acknowledged_under_load_is_in_the_folder_that_was_moved(
    folder: Path, until: Until, harm: Callable[[Path], None]
) -> None:
    """Handlers run, four threads publish, and each acknowledged message is recorded where the error says, and only there."""
    system = perdure.System(folder, options=perdure.Options(segment_bytes=20_000))
    acknowledged: list[str] = []

    @system.handler(Note, parallelism=3)
    def handle(note: Note) -> None:
        """Do nothing."""

    def publish(thread: int) -> None:
        for n in range(100_000):
            try:
                acknowledged.append(system.publish(Note("x" * 100), id=f"{thread}-{n}"))
            except perdure.PerdureError:
                return

    system.start()
    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(acknowledged) > 60)
    harm(folder)
    for thread in threads:
        thread.join()
    until(lambda: not system.running)
    system.stop(grace=1.0)
    moved = perdure.Audit(folder.with_name("moved"))
    assert set(acknowledged) <= {record.message_id for record in moved.events(type="Published")}
    assert moved.verify().ok
    if harm is replace:
        other = perdure.Audit(folder)
        assert other.verify().ok
        assert len(list(other.events(type="Published"))) == 1
    with perdure.System(folder.with_name("moved")) as again:
        again.publish(Note("later"))
