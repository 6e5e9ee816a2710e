"""A whole system on a full disk: publishers get an error, nothing is lost, and work goes on when there is room.

On a small tmpfs if it can be mounted (root), and everywhere by RLIMIT_FSIZE, which allows part of a write and then none.
"""

from __future__ import annotations

import random
import resource
import time
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.chaos.disk.mounts import Tmpfs, why_no_tmpfs
from perdure.chaos.processes.forked_child import forked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.chaos.processes.forked_child import Report
    from tests.chaos.conftest import Census

BLOB_BYTES = 3_000
AFTERWARDS = 20
TIMEOUT_S = 20.0


@perdure.message(name="full_disk.Job")
@attrs.frozen
class Job:
    number: int
    blob: bytes


def publish(system: perdure.System, number: int, report: Report) -> bool:
    report(f"sent {number}")
    try:
        system.publish(Job(number, random.Random(number).randbytes(BLOB_BYTES)), id=str(number))
    except perdure.StoreUnavailable:
        report(f"refused {number}")
        return False
    report(f"acknowledged {number}")
    return True


def work(folder: Path, report: Report, make_room: Callable[[], None]) -> None:
    """Publish until the disk is full and a few times more, make room, and go on, all in one system."""
    system = perdure.System(folder)
    system.handler(Job, parallelism=2, retries=100)(lambda job, ctx: report(f"handled {ctx.id}"))
    with system:
        number = 0
        while publish(system, number, report):
            number += 1
        for _ in range(3):
            number += 1
            publish(system, number, report)
        make_room()
        until_s = time.monotonic() + TIMEOUT_S
        number += 1
        while not publish(system, number, report):
            assert time.monotonic() < until_s, "there is room, and publishing still fails"
            number += 1
        for _ in range(AFTERWARDS):
            number += 1
            assert publish(system, number, report)
        system.drain(timeout=TIMEOUT_S)
        report(f"io_errors {system.admin.metrics().runtime_counters['io_errors']}")


def check(folder: Path, reports: list[str], census: Census) -> None:
    words = [line.split() for line in reports]
    noted = {what: [word[1] for word in words if word[0] == what] for what in ("sent", "refused", "acknowledged", "handled")}
    assert noted["refused"]
    assert len(noted["acknowledged"]) > AFTERWARDS + 10
    assert int(words[-1][1]) >= 1
    audit = perdure.Audit(folder)
    census(audit, noted["sent"], noted["acknowledged"], noted["handled"])
    published = {record.message_id for record in audit.events(type="Published")}
    assert not published & set(noted["refused"]), "refused, and published all the same (scenario 56)"
    assert audit.verify().ok
    with perdure.System(folder) as system:
        assert system.admin.metrics().completed == len(published)


def test_quota(tmp_path: Path, census: Census) -> None:
    """Scenarios 34 and 56 where no file may grow beyond 200 kB."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(report: Report) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
        work(tmp_path / "data", report, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))

    with forked(limited) as child:
        child.go()
        ended = child.wait()
    assert ended.status == 0, ended.reports[-3:]
    check(tmp_path / "data", ended.reports, census)


def test_small_tmpfs(census: Census) -> None:
    """Scenarios 34 and 56 on a file system of one megabyte, half of it taken by a file that is then removed."""
    if reason := why_no_tmpfs():
        pytest.skip(reason)
    with Tmpfs(1 << 20) as disk:
        ballast = disk.path / "ballast"
        ballast.write_bytes(bytes(1 << 19))
        with forked(lambda report: work(disk.path / "data", report, ballast.unlink)) as child:
            child.go()
            ended = child.wait()
        assert ended.status == 0, ended.reports[-3:]
        check(disk.path / "data", ended.reports, census)
