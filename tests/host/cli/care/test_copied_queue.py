"""`migrate`, `restore` and `repair` of a queue of several partitions: each log goes to its place, or the reason is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli import main
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("postgres")]

PARTITIONS = 2
KEYS = ["a", "b", "g", "h"]


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def run(*words: object) -> str:
    result = CliRunner().invoke(main.app, [str(word) for word in words], catch_exceptions=True)
    if isinstance(result.exception, perdure.PerdureError):
        return f"refused: {result.exception}"
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def queue(name: str = "") -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name or new_queue().replace(" ", "_"), partitions=PARTITIONS)


def address_of(name: str) -> str:
    return f"{shared_server().dsn}#{name}"


@pytest.fixture
def used() -> str:
    """The name of a queue with messages that wait in each partition."""
    with queue() as cluster:
        for key in KEYS:
            cluster.publish(Order(key), key=key, id=key)
        assert len({number for number, _ in cluster.audit.events(type="Published")}) == PARTITIONS
    return cluster.name


def check_all_is_there(name: str) -> None:
    with queue(name) as cluster:
        handled: list[str] = []
        cluster.handler(Order)(lambda order: handled.append(order.name))
        cluster.drain(timeout=PATIENCE_S)
        assert sorted(handled) == KEYS
        assert cluster.publish(Order("again"), key="a", id="a") == "a"
        assert cluster.admin.metrics().published == len(KEYS)


def test_a_whole_queue_moves_to_folders_and_to_another_queue(used: str, tmp_path: Path) -> None:
    assert run("migrate", address_of(used), tmp_path / "moved").count("copied") == PARTITIONS
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["0", "1"]
    assert "whole" in run("verify", tmp_path / "moved" / "1")
    name = new_queue().replace(" ", "_")
    assert "refused" in run("migrate", tmp_path / "moved", address_of(name) + "/0")
    assert run("migrate", tmp_path / "moved", address_of(name)).count("copied") == PARTITIONS
    with pytest.raises(perdure.PerdureError, match="has 2 on record"):
        perdure.Cluster(shared_server().dsn, name=name, partitions=5).start()
    check_all_is_there(name)


def test_a_backup_of_a_queue_is_restored_and_repaired_as_a_queue(used: str, tmp_path: Path) -> None:
    run("backup", address_of(used), tmp_path / "backup")
    name = new_queue().replace(" ", "_")
    assert "give a time" in run("restore", tmp_path / "backup", address_of(name), "--to", 3)
    assert run("restore", tmp_path / "backup", address_of(name)).count("restored") == PARTITIONS
    assert run("repair", address_of(name), tmp_path / "repaired").count("partition") >= PARTITIONS
    assert "whole" in run("verify", tmp_path / "repaired" / "0")
    check_all_is_there(name)
    (tmp_path / "backup" / "0").rename(tmp_path / "lost")
    assert "none of 0" in run("restore", tmp_path / "backup", tmp_path / "restored")


def test_nothing_is_copied_while_a_process_owns_a_partition_or_publishes_wait(used: str, tmp_path: Path) -> None:
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=used, partition=1)):
        assert "refused" in run("migrate", address_of(used), tmp_path / "moved")
    with perdure.connect(shared_server().dsn, name=used) as client:
        client.publish(Order("waits"), key="b")
    assert "publishes wait beside the log" in run("migrate", address_of(used), tmp_path / "moved")
    assert not [*tmp_path.glob("moved/*/*")]
