"""The thread that writes a client's publishes as rows is interrupted: nothing is said that is not so, and it writes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.core.threads.answer import Answer
from perdure.events.commands import Draft, Publish
from perdure.processes.to_owner.database_connection import DatabaseConnection
from tests.postgres_server import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TIMEOUT_S = 0.3


class Scripted:
    """Stands in for the ingress: writes rows, and then does what it is told to at each call."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.steps: list[Callable[[], None]] = []
        self.otherwise: Callable[[], None] = lambda: None

    def add(self, bodies: Sequence[bytes], _wall_us: int | None = None) -> None:
        step = self.steps.pop(0) if self.steps else self.otherwise
        if step is not away:
            self.rows += bodies
        step()

    def close(self) -> None:
        pass


def interrupt() -> None:
    raise SystemExit


def away() -> None:
    raise ConnectionError("the server does not answer.")


@pytest.fixture
def ingress() -> Scripted:
    return Scripted()


@pytest.fixture
def connection(ingress: Scripted) -> Iterator[DatabaseConnection]:
    unused: Any = None
    written: Any = ingress
    made = DatabaseConnection(written, unused, TIMEOUT_S, "test", lambda _: None)
    yield made
    made._requests.put(None)
    assert made._thread is not None
    made._thread.join(PATIENCE_S)
    assert not made._thread.is_alive()


def published(connection: DatabaseConnection, ident: str, body: object = b"") -> object:
    answer = Answer()
    draft: Any = Draft(ident, "order", body)  # type: ignore[arg-type] # one of them cannot be packed
    connection.pending.send("queue", Publish([draft]), answer)
    return answer.wait(PATIENCE_S)


def test_a_publish_that_was_written_and_interrupted_is_in_doubt_while_the_database_is_away(
    ingress: Scripted, connection: DatabaseConnection
) -> None:
    ingress.steps, ingress.otherwise = [interrupt], away
    with pytest.raises(perdure.PublishTimeout, match="published or not") as raised:
        published(connection, "a")
    assert raised.value.ids == ("a",)
    assert len(ingress.rows) == 1


def test_what_comes_after_an_answer_is_in_no_doubt(ingress: Scripted, connection: DatabaseConnection) -> None:
    ingress.steps, ingress.otherwise = [interrupt], lambda: None
    published(connection, "a")
    ingress.otherwise = away
    for ident in ("b", "c"):
        with pytest.raises(perdure.StoreUnavailable, match="Nothing was published"):
            published(connection, ident)
    ingress.steps = [interrupt]
    with pytest.raises(perdure.PublishTimeout):
        published(connection, "d")
    with pytest.raises(perdure.StoreUnavailable, match="Nothing was published"):
        published(connection, "e")


def test_a_publish_that_cannot_cross_and_was_counted_out_before_stops_no_other(
    ingress: Scripted, connection: DatabaseConnection
) -> None:
    published(connection, "a")
    connection._unwritten = Forgotten()
    with pytest.raises(perdure.PerdureError, match="cannot cross"):
        published(connection, "b", object())
    published(connection, "c")
    assert len(ingress.rows) == 2


class Forgotten(list[None]):
    """Counts nothing, as where an exception came in between."""

    def append(self, _entry: None) -> None:
        pass
