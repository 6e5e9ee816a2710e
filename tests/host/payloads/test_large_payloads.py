"""Large messages, many at once: nothing that is accepted may make a frame that the store does not take."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until

MIB = 1 << 20
COUNT = 80
"""So many of a MiB are more than the largest frame."""


@attrs.frozen
class Blob:
    body: bytes


@attrs.frozen
class Start:
    count: int


def test_fast_publisher_of_large_messages(folder: Path) -> None:
    """Submitted without waiting, so that many are decided in one pass; all are there after a restart."""
    body = os.urandom(MIB - 100)
    with perdure.System(folder, options=perdure.Options(restart_budget=0)) as system:
        futures = [system.submit(Blob(body), priority=n % 2) for n in range(COUNT)]
        assert len({future.result(timeout=60.0) for future in futures}) == COUNT
    with perdure.System(folder) as system:
        assert system.admin.metrics().ready == COUNT


def test_handler_that_publishes_more_than_a_commit_takes(folder: Path, until: Until) -> None:
    """Told to the handler, whose attempt fails; the system goes on."""
    system = perdure.System(folder, options=perdure.Options(restart_budget=0, retries=0))
    body = os.urandom(MIB - 100)

    @system.handler(Start)
    def begin(start: Start, ctx: perdure.Context) -> None:
        for _ in range(start.count):
            ctx.publish(Blob(body))

    with system:
        system.admin.pause(Blob)
        system.publish(Start(COUNT))
        small = system.publish(Start(3))
        until(lambda: system.admin.metrics().completed == 1)
        (letter,) = system.dead_letters.list()
        assert "Publish a message that publishes the rest" in letter.reason
        assert [record.name for record in system.audit.timeline(small)].count("Completed") == 1
        assert system.admin.metrics().ready == 3


@pytest.mark.long
def test_many_large_dead_letters_die_and_are_replayed_in_several_commits(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(restart_budget=0, retries=0))

    @system.handler(Blob, parallelism=4)
    def fail(blob: Blob) -> None:
        raise ValueError(len(blob.body))

    body = os.urandom(MIB - 100)
    with system:
        for future in [system.submit(Blob(body)) for _ in range(COUNT)]:
            future.result(timeout=60.0)
        system.drain(timeout=60.0)
        assert system.dead_letters.stats().total == COUNT
        system.admin.pause(Blob)
        assert system.dead_letters.replay_all(dry_run=True) == COUNT
        assert system.dead_letters.replay_all() == COUNT
        assert system.admin.metrics().ready == COUNT


@pytest.mark.long
def test_many_large_messages_whose_process_died_become_dead_letters(folder: Path, tmp_path: Path) -> None:
    """Scenario 29: all of them are taken back in the first pass after the start."""
    begun, go = threading.Semaphore(0), threading.Event()
    system = perdure.System(folder)

    @system.handler(Blob, parallelism=COUNT, retries=0)
    def hold(blob: Blob) -> None:
        begun.release()
        go.wait(60.0)

    body = os.urandom(MIB - 100)
    try:
        with system:
            for _ in range(COUNT):
                system.publish(Blob(body))
            for _ in range(COUNT):
                assert begun.acquire(timeout=30.0)
            shutil.copytree(folder, tmp_path / "left")  # what a SIGKILL would leave
            go.set()
    finally:
        go.set()
    with perdure.System(tmp_path / "left", options=perdure.Options(restart_budget=0)) as heir:
        assert heir.recovery is not None
        assert (heir.recovery.in_flight_taken_back, heir.recovery.dead_letters) == (COUNT, COUNT)
        assert heir.admin.metrics().dead_letters == COUNT
