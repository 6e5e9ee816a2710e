"""Asking the owner of a partition through its database: all that a client of a folder can do, whatever fails on the way."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app
from tests.postgres_server import PATIENCE_S, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("postgres")


@perdure.message(name="Quote")
@attrs.frozen
class Quote(perdure.Returns[int]):
    amount: int


@attrs.frozen
class Refund:
    order: str


def shop(server: Server, name: str) -> perdure.System:
    """Return an owner that quotes, and refuses refunds of bad orders."""
    system = perdure.System(store=perdure.PostgresStore(server.dsn, name=name))

    @system.handler(Quote)
    def quote(message: Quote) -> int:
        return 2 * message.amount

    return system


@pytest.fixture
def owner(server: Server, name: str) -> Iterator[perdure.System]:
    with shop(server, name) as system:
        yield system


@pytest.fixture
def client(server: Server, name: str, owner: perdure.System) -> Iterator[perdure.Client]:
    with perdure.connect(server.dsn, name=name, partition=0, timeout=PATIENCE_S) as made:
        yield made


def test_a_client_calls_looks_and_cancels(client: perdure.Client) -> None:
    assert client.call(Quote(21), timeout=PATIENCE_S) == 42
    ident = client.publish(Quote(4), keep_result=60)
    assert client.result(ident, timeout=PATIENCE_S) == 8
    later = client.publish(Quote(1), delay=3600)
    assert client.state(later).status == "delayed"  # although it was published past the owner
    assert client.cancel(later)
    assert not client.state("unknown").known


def test_a_client_consumes_by_hand_and_settles_dead_letters(client: perdure.Client) -> None:
    ident = client.publish(Refund("bad"))
    delivery = client.checkout(Refund)
    assert delivery is not None
    assert delivery.id == ident
    delivery.reject("no such order")
    [letter] = client.dead_letters.list()
    assert letter.id == ident
    assert client.dead_letters.replay_all() == 1
    again = client.checkout(Refund)
    assert again is not None
    again.ack()
    assert client.audit.verify().ok


def test_a_client_operates_and_the_log_says_by_which_role(client: perdure.Client, owner: perdure.System) -> None:
    with perdure.acting_as("ann", reason="a test"):
        client.admin.pause(Quote)
    assert client.admin.handlers()["Quote"].paused
    [act] = owner.audit.acts()
    assert (act.principal, act.origin) == ("ann", "database, role perdure")
    client.admin.resume(Quote)
    assert client.call(Quote(1), timeout=PATIENCE_S) == 2


def test_what_was_asked_of_an_owner_that_goes_is_answered_by_the_next(server: Server, name: str) -> None:
    answers: list[int] = []
    first, second = shop(server, name), shop(server, name)
    with first, perdure.connect(server.dsn, name=name, timeout=PATIENCE_S) as client:
        ident = client.publish(Quote(8), delay=1.0, keep_result=60)
        assert client.state(ident).known
        waiting = threading.Thread(target=lambda: answers.append(client.result(ident, timeout=PATIENCE_S)))
        waiting.start()
        client.state(ident)
        first.stop()
        with second:
            waiting.join(PATIENCE_S)
            assert answers == [16]


def test_a_client_outlasts_the_end_of_all_sessions_and_a_crash_of_the_server(server: Server, client: perdure.Client) -> None:
    assert client.call(Quote(1), timeout=PATIENCE_S) == 2
    server.end_all_sessions()
    assert client.call(Quote(2), timeout=PATIENCE_S) == 4
    server.kill()
    server.start()
    assert client.call(Quote(3), timeout=PATIENCE_S) == 6


def test_commands_act_through_the_owner(server: Server, name: str, owner: perdure.System) -> None:
    address = f"{server.dsn}#{name}/0".replace(" ", "%20")
    result = CliRunner().invoke(app, ["pause", address, "Quote", "--by", "ann"])
    assert result.exit_code == 0, result.output
    assert "paused" in result.output
    [act] = owner.audit.acts()
    assert (act.action, act.principal) == ("pause", "ann")


def test_status_tells_waits_and_runs_of_the_owner_of_a_queue(server: Server, name: str, client: perdure.Client) -> None:
    assert client.call(Quote(21), timeout=PATIENCE_S) == 42
    deadline = time.monotonic() + PATIENCE_S  # a look does not wait long for an owner on a busy machine
    while (looked := _status(f"{server.dsn}#{name}/0"))["handlers"] is None:
        assert time.monotonic() < deadline
    assert looked["handlers"]["Quote"]["run_p95_s"] > 0
    assert looked["spilled_bytes"] == 0


def _status(address: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["status", address, "--json"])
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    found: dict[str, Any] = json.loads(result.output)
    return found
