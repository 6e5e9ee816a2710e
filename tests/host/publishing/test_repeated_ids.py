"""Publishing an id again adds nothing, for as many ended messages as is told; beyond that is doubt, never a second message."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING
from uuid import UUID

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

FEW = perdure.Options(finished_max=100, gc_threshold=0)


@perdure.message(name="tests.Row")
@attrs.frozen
class Row:
    number: int


def a_system(folder: Path, options: perdure.Options = FEW) -> tuple[perdure.System, list[int]]:
    system, seen = perdure.System(folder, options=options), list[int]()

    @system.handler(Row)
    def handle(row: Row) -> None:
        seen.append(row.number)

    return system, seen


@pytest.mark.long(seconds=6)
def test_an_import_that_is_run_again_handles_nothing_twice(folder: Path) -> None:
    """Beyond the old bound, which was 65,536; across a restart, which reads a snapshot."""
    rows = 70_000
    batches = [range(start, start + 1_000) for start in range(0, rows, 1_000)]
    for expected in (rows, 0):
        system, seen = a_system(folder, perdure.Options())
        with system:
            for batch in batches:
                system.publish_many([Row(i) for i in batch], ids=[f"row-{i}" for i in batch])
            system.drain(60)
            assert len(seen) == expected
            metrics = system.admin.metrics()
            assert metrics.ids_remembered == rows
            assert metrics.ids_remembered_since is None


def test_an_id_of_ours_that_may_be_forgotten_is_in_doubt(folder: Path) -> None:
    system, seen = a_system(folder)
    with system:
        first = system.publish(Row(-1), priority=1)
        system.drain(10)
        assert system.publish(Row(-1), id=first) == first, "known"
        ids = [system.publish(Row(i), priority=1) for i in range(30)]
        for i in range(200):
            system.submit(Row(i), priority=1)
        system.drain(10)
        metrics = system.admin.metrics()
        assert metrics.ids_remembered >= 100
        assert metrics.ids_remembered_since is not None
        for ident in (first, ids[7]):
            with pytest.raises(perdure.PublishTimeout, match="forgotten") as doubt:
                system.publish(Row(-1), id=ident)
            assert doubt.value.ids == (ident,)
        with pytest.raises(perdure.PublishTimeout):
            system.publish_many([Row(-1), Row(-2)], ids=["new", ids[8]])
        system.drain(10)
        assert len(seen) == 231
    again, seen = a_system(folder)
    with again:
        with pytest.raises(perdure.PublishTimeout):
            again.publish(Row(-1), id=first)
        fresh = again.publish(Row(-3))
        again.drain(10)
        assert again.publish(Row(-3), id=fresh) == fresh
        assert seen == [-3]


def test_an_id_of_the_hosts_is_known_or_new(folder: Path) -> None:
    """One that looks like perdure's, too: its time says nothing of when it was published here."""
    system, seen = a_system(folder)
    with system:
        rng = random.Random(1)
        theirs = [str(UUID(int=(1 << 120) | (7 << 76) | (2 << 62) | rng.getrandbits(62))) for i in range(20)]
        for i, ident in enumerate(theirs[:10]):
            system.publish(Row(i), id=ident)
        system.drain(10)
        for i in range(50):
            system.publish(Row(100 + i), priority=1)
        system.drain(10)
        for i, ident in enumerate(theirs):
            system.publish(Row(i), id=ident)
        system.drain(10)
        assert sorted(seen) == [*range(20), *range(100, 150)]


def test_fewer_or_more_are_remembered_as_the_options_say_from_the_next_start_on(folder: Path) -> None:
    for kept_max in (500, 20, 300):
        system, _ = a_system(folder, attrs.evolve(FEW, finished_max=kept_max))
        with system:
            for i in range(600):
                system.submit(Row(i), priority=1)
            system.drain(20)
            assert kept_max <= system.admin.metrics().ids_remembered <= kept_max * 1.2 + 2
