"""`perdure migrate`: a history moves from a folder to PostgreSQL and back; commands that read take addresses of databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli import main
from perdure.store import migrate, open_reader, open_store, open_target
from perdure.store.postgres.traffic.ingress import Ingress
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("postgres")]


def run(*words: str) -> str:
    result = CliRunner().invoke(main.app, list(words), catch_exceptions=True)
    if isinstance(result.exception, perdure.PerdureError):
        return f"refused: {result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


@pytest.fixture
def address() -> str:
    """A queue that is not there yet."""
    return f"{shared_server().dsn}#{new_queue().replace(' ', '_')}/0"


@pytest.fixture
def used(folder: Path) -> perdure.System:
    """A folder with some history: handled, waiting and dead messages, over two runs with a snapshot."""
    system = perdure.System(folder, options=perdure.Options(retries=0))

    @system.handler(dict)
    def handle(message: dict[str, str]) -> None:
        if message["name"] == "bad":
            raise ValueError(message)

    with system:
        for name in ("good", "bad"):
            system.publish({"name": name}, id=name)
        system.publish_many([{"name": f"plain {n}"} for n in range(200)])
        system.drain(timeout=60)
    with system:
        system.publish({"name": "later"}, id="later", delay=3600)
    return system


@pytest.mark.usefixtures("used")
def test_a_folder_moves_to_postgresql_and_back_with_its_chain(folder: Path, address: str, tmp_path: Path) -> None:
    noted = perdure.Audit(folder).verify()
    before = [(record.seq, record.at, record.event) for record in perdure.Audit(folder).events()]
    assert "copied" in run("migrate", str(folder), address)
    there = perdure.Audit(address)
    assert there.verify(head=noted.head).ok
    assert there.verify().chain == noted.chain, "seals are part of the chain"
    assert [(record.seq, record.at, record.event) for record in there.events()] == before
    store = open_store(address)
    with perdure.System(store=store) as system:
        assert system.publish({"name": "again"}, id="good") == "good"
        assert system.state("good").status == "completed", "a message that was handled in the folder is known"
        system.publish({"name": "of the database"}, id="of the database")
    assert "copied" in run("migrate", address, str(tmp_path / "back"))
    back = perdure.Audit(tmp_path / "back")
    assert back.verify(head=noted.head).ok
    assert [record.name for record in back.timeline("of the database")] == ["Published"]


@pytest.mark.usefixtures("used")
def test_looking_for_publishes_that_wait_leaves_no_connection_open(
    folder: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("migrate", str(folder), address)
    closed: list[Ingress] = []

    def close(ingress: Ingress) -> None:
        closed.append(ingress)

    monkeypatch.setattr(Ingress, "close", close)
    assert "copied" in run("migrate", address, str(tmp_path / "back"))
    assert len(closed) == 1


@pytest.mark.usefixtures("used")
def test_commands_that_read_take_the_address_of_a_database(folder: Path, address: str) -> None:
    run("migrate", str(folder), address)
    assert "whole: " in run("verify", address)
    assert " events, last at " in run("stats", address)
    assert "Published" in run("timeline", address, "bad")
    assert "bad" in run("dead-letters", "list", address)


@pytest.mark.long(seconds=3)
@pytest.mark.usefixtures("used")
def test_a_queue_that_is_there_already_is_not_overwritten(folder: Path, address: str) -> None:
    assert "copied" in run("migrate", str(folder), address)
    assert "is there already" in run("migrate", str(folder), address)


@pytest.mark.long(seconds=3)
def test_a_log_in_use_is_not_moved(used: perdure.System, folder: Path, address: str) -> None:
    with used:
        assert "refused" in run("migrate", str(folder), address)
    assert "copied" in run("migrate", str(folder), address)


@pytest.mark.long(seconds=3)
@pytest.mark.usefixtures("used")
def test_no_system_starts_on_a_copy_that_was_not_finished_and_it_is_made_again(folder: Path, address: str) -> None:
    class Interrupted(Exception):
        pass

    def progress(_: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        migrate(open_reader(folder), open_target(address), progress=progress)
    with pytest.raises(perdure.StoreUnavailable, match="not finished"):
        open_store(address).open()
    assert "copied" in run("migrate", str(folder), address)


@pytest.mark.long(seconds=3)
@pytest.mark.usefixtures("used")
def test_a_damaged_log_is_not_moved(folder: Path, address: str) -> None:
    segment = next(folder.glob("log-*.seg"))
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    assert "damaged" in run("migrate", str(folder), address)


def test_a_password_on_the_command_line_is_refused() -> None:
    told = run("verify", "postgresql://orders:s3cret@127.0.0.1:1/shop")
    assert "PGPASSWORD" in told
    assert "s3cret" not in told


def test_tables_are_created_by_hand() -> None:
    assert "tables" in run("migrate", "--schema", shared_server().dsn)
    assert run("migrate", "--schema", shared_server().dsn) == "the tables are up to date"
