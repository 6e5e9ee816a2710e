"""An outbox that several processes of a folder have is read by one of them, and by another one when that ends."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.outbox.dialect import Sql
from tests.host.outbox import relayer as program
from tests.host.outbox.relayer import Shipped, noted, write
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.host.conftest import Until

    Start = Callable[..., Program]

PATIENCE_S = 30.0


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = str(tmp_path / "host.db")
    with sqlite3.connect(path) as connection:
        perdure.Outbox(connection).create_table()
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def start(folder: Path, database: str, log: Path) -> Iterator[Start]:
    """Start a process that relays the outbox; returns when it is up."""
    started: list[Program] = []

    def start(role: str, **options: Any) -> Program:
        words = ["-m", program.__name__, str(folder), database, str(log), json.dumps({"every_s": 0.05} | options)]
        process = Program(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == f"up {role}\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def handled(log: Path) -> list[int]:
    return sorted(int(what.removeprefix("shipped-")) for what, _ in noted(log) if what != "look")


def lookers(log: Path) -> set[int]:
    return {pid for what, pid in noted(log) if what == "look"}


def looks(log: Path) -> int:
    return sum(what == "look" for what, _ in noted(log))


def test_the_owner_reads_what_it_has_and_a_member_goes_on_when_it_is_killed(
    start: Start, database: str, log: Path, until: Until
) -> None:
    owner = start("owner")
    heir = start("member")
    write(database, *range(50))
    until(lambda: handled(log) == list(range(50)))
    before = looks(log)
    until(lambda: looks(log) > before + 20)  # the member would have looked as often
    assert lookers(log) == {owner.pid}
    write(database, *range(50, 100))
    owner.kill()
    until(lambda: set(handled(log)) == set(range(100)))
    until(lambda: heir.pid in lookers(log))  # the owner may have handled all before it was killed
    until(lambda: sqlite3.connect(database).execute("SELECT count(*) FROM perdure_outbox").fetchone() == (0,))


def test_of_an_outbox_that_the_owner_does_not_have_one_member_takes_care(
    folder: Path, start: Start, database: str, log: Path, until: Until
) -> None:
    with perdure.System(folder, shared=True) as owner:
        first, second = start("member", ownership="never"), start("member", ownership="never")
        write(database, *range(50))
        until(lambda: handled(log) == list(range(50)))
        before = looks(log)
        until(lambda: looks(log) > before + 20)
        (reader,) = lookers(log)
        other = second if reader == first.pid else first
        os.kill(reader, signal.SIGSTOP)
        until(lambda: other.pid in lookers(log))
        before = looks(log)
        until(lambda: looks(log) > before + 5)  # the dispatcher knows by now that one hangs: that one would keep what it got
        write(database, *range(50, 100))
        owner.drain(PATIENCE_S)
        until(lambda: owner.admin.metrics().completed == 100)
        os.kill(reader, signal.SIGKILL)
        write(database, 100)
        until(lambda: 100 in handled(log))
        assert owner.admin.metrics().published == 101, "each row once"


def test_a_process_whose_host_has_committed_tells_the_one_that_reads(start: Start, log: Path, until: Until) -> None:
    owner = start("owner", every_s=3600.0)
    until(lambda: looks(log))  # at its start, and once more where it is told of the outbox after it had begun
    member = start("member")
    assert member.stdin is not None
    for number in range(3):
        print(number, file=member.stdin, flush=True)
        until(lambda: number in handled(log))  # noqa: B023 - waits here
    assert lookers(log) == {owner.pid}


def test_what_the_owner_reads_no_more_a_member_reads(folder: Path, start: Start, database: str, log: Path, until: Until) -> None:
    with perdure.System(folder, shared=True) as owner:
        owner.handler(Shipped)(lambda _: None)
        relay = perdure.OutboxRelay(owner, lambda: sqlite3.connect(database), every_s=0.05, name="shipping")
        relay.start()
        member = start("member", name="shipping")
        write(database, 1)
        until(lambda: relay.published == 1)
        assert lookers(log) == set()
        relay.stop()
        write(database, 2)
        until(lambda: owner.admin.metrics().completed == 2)
        assert lookers(log) == {member.pid}
        assert relay.published == 1


def test_what_the_owner_cannot_read_a_member_reads_until_it_can(
    folder: Path, start: Start, database: str, log: Path, until: Until
) -> None:
    is_down = [True]

    def connect() -> sqlite3.Connection:
        if is_down[0]:
            msg = "no route to the database"
            raise sqlite3.OperationalError(msg)
        return sqlite3.connect(database)

    with perdure.System(folder, shared=True) as owner, perdure.OutboxRelay(owner, connect, every_s=0.05, name="shipping") as relay:
        member = start("member", name="shipping")
        write(database, 1)
        until(lambda: handled(log) == [1])
        assert lookers(log) == {member.pid}
        is_down[0] = False
        written = [1]

        def the_owner_reads() -> bool:
            written.append(len(written) + 1)
            write(database, written[-1])
            return relay.published > 0

        until(the_owner_reads)
        until(lambda: handled(log) == written)
        assert owner.admin.metrics().published == len(written), "each row once"


def test_a_table_has_the_same_name_by_whatever_path_it_is_opened(tmp_path: Path, database: str) -> None:
    (tmp_path / "link.db").symlink_to(database)
    other = sqlite3.connect(tmp_path / "other.db")
    assert Sql(other).place() is None, "it has no table"
    perdure.Outbox(other).create_table()
    memory = sqlite3.connect(":memory:")
    perdure.Outbox(memory).create_table()
    name = Sql(sqlite3.connect(database)).place()
    assert name
    assert Sql(sqlite3.connect(tmp_path / "link.db")).place() == name
    assert Sql(other).place() not in (name, "", None)
    assert Sql(memory).place() == "", "no other process reads it"


@pytest.mark.parametrize("name", ["", "x" * 513, 7])
def test_a_name_is_a_short_text(folder: Path, name: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="name"):
        perdure.OutboxRelay(perdure.System(folder), lambda: None, name=name)
