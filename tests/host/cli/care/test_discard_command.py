"""`perdure discard-copies`: a restore that is given up leaves nothing behind; logs that could be used are left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli import main
from perdure.store.postgres.postgres_copy import PostgresCopy
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("postgres")]

PARTITIONS = 2


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def discard(address: str, *words: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main.app, ["discard-copies", address, *words], input=answer)
    if isinstance(result.exception, perdure.PerdureError):
        return result.exit_code, str(result.exception)
    return result.exit_code, " ".join(result.output.split())


def new_name() -> str:
    return new_queue().replace(" ", "_")


def address_of(name: str) -> str:
    return f"{shared_server().dsn}#{name}"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a queue with messages that wait."""
    with perdure.Cluster(shared_server().dsn, name=new_name(), partitions=PARTITIONS) as cluster:
        for key in "abgh":
            cluster.publish(Order(key), key=key, id=key)
    perdure.backup(address_of(cluster.name), tmp_path / "backup")
    return tmp_path / "backup"


def cut_off(backup: Path, name: str, monkeypatch: pytest.MonkeyPatch, at: int = 0) -> None:
    """Restore a queue, up to where the log of this number is to be let used."""
    finish, calls = PostgresCopy.finish, iter(range(PARTITIONS))

    def failing(self: PostgresCopy) -> object:
        if next(calls) == at:
            raise perdure.StoreUnavailable("no more room")
        return finish(self)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresCopy, "finish", failing)
        with pytest.raises(perdure.StoreUnavailable, match="no more room"):
            perdure.restore(backup, address_of(name))


def test_a_restore_that_is_given_up_leaves_nothing_behind(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_name()
    cut_off(backup, name, monkeypatch)
    with pytest.raises(perdure.StoreUnavailable, match="perdure discard-copies"):
        perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)).start()
    assert discard(address_of(name), answer="n\n")[0] == 1
    status, said = discard(address_of(name), answer="y\n")
    assert status == 0
    assert "removed the unfinished copies in partitions 0, 1 the queue is not on record any more" in said
    assert discard(address_of(name), "--yes") == (1, f"there is no unfinished copy in {address_of(name)}")
    with perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS + 1) as cluster:  # as if there had been none
        cluster.publish(Order("another"))


def test_publishes_that_wait_stay_and_with_them_the_number_of_partitions(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_name()
    cut_off(backup, name, monkeypatch)
    with perdure.connect(shared_server().dsn, name=name, timeout=PATIENCE_S) as client:
        client.publish(Order("meanwhile"), key="a")
    status, said = discard(address_of(name), "--yes", "--json")
    assert (status, json.loads(said)) == (0, {"partitions": [0, 1], "waiting": 1, "forgotten": False})
    handled: list[str] = []
    with perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS) as cluster:
        cluster.handler(Order)(lambda order: handled.append(order.name))
        cluster.drain(timeout=PATIENCE_S)
    assert handled == ["meanwhile"]


def test_what_could_be_used_is_left_alone(backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = new_name()
    cut_off(backup, name, monkeypatch, at=1)  # the first log is whole, and of the rest there is a copy
    status, said = discard(f"{address_of(name)}/0", "--yes", "--json")
    assert (status, json.loads(said)["partitions"]) == (1, [])
    status, said = discard(address_of(name), "--yes", "--json")
    assert (status, json.loads(said)) == (0, {"partitions": [1], "waiting": 0, "forgotten": False})
    perdure.restore(backup, address_of(name))  # which keeps the one that is there
    assert not perdure.Audit(f"{address_of(name)}/0").verify().findings


@pytest.mark.parametrize("address", ["folder", "postgresql:///shop"])
def test_an_address_of_no_queue_is_refused(address: str) -> None:
    status, said = discard(address, "--yes")
    assert status == 1
    assert "names no queue in a database" in said
