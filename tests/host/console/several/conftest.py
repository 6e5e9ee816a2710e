"""A queue of three partitions in PostgreSQL, with a history, and the console of all of it. No test lives here."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cli.run.console_command import _front
from perdure.console.console import Console
from perdure.console.whole_console import whole_queue
from perdure.security import Rights
from perdure.store import open_reader, partition_addresses
from tests.host.console.conftest import Patient, until
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient

PARTITIONS = 3
PARCELS = 300


@perdure.message(name="shop.Parcel")
@attrs.frozen
class Parcel:
    number: int


@perdure.message(name="shop.Secret")
@attrs.frozen
class Secret:
    number: int


@pytest.fixture(scope="module")
def cluster() -> Iterator[perdure.Cluster]:
    made = perdure.Cluster(shared_server().dsn, name=new_queue().replace(" ", "_"), partitions=PARTITIONS)

    @made.handler(Parcel, retries=0)
    def ship(parcel: Parcel) -> None:
        if parcel.number % 25 == 7:
            msg = f"no address for parcel {parcel.number}"
            raise LookupError(msg)

    with made:
        made.publish_many([Parcel(n) for n in range(PARCELS)], keys=[f"parcel-{n}" for n in range(PARCELS)])
        made.publish_many([Secret(n) for n in range(30)], keys=[f"secret-{n}" for n in range(30)])
        until(lambda: made.admin.metrics().completed + made.admin.metrics().dead_letters >= PARCELS)
        with perdure.acting_as("olga", reason="the depot is closed"):
            made.admin.pause("shop.Parcel")
            made.admin.resume("shop.Parcel")
            made.admin.pause("shop.Secret")
        yield made


@contextmanager
def consoles_of(cluster: perdure.Cluster, **options: Any) -> Iterator[dict[int, Console]]:
    """Give a console of each partition, which acts through the partition's owner, as `perdure console` does."""
    with ExitStack() as stack:
        addresses = partition_addresses(f"{shared_server().dsn}#{cluster.name}")
        yield {
            number: Console(open_reader(address), _front(number, address, stack), rights=Rights(), **options)
            for number, address in addresses.items()
        }


@pytest.fixture(scope="module")
def consoles(cluster: perdure.Cluster) -> Iterator[dict[int, Console]]:
    with consoles_of(cluster, open_payloads=True) as made:
        yield made
        for console in made.values():
            console.close()


def browser_of(consoles: dict[int, Console]) -> TestClient:
    """Return a browser without scripts, once all logs are read."""
    return Patient(app_of(consoles), base_url="http://127.0.0.1", follow_redirects=False)


def app_of(consoles: dict[int, Console]) -> Any:
    """Return the console of all partitions as an application, once all logs are read."""
    app = whole_queue(consoles, hosts=("127.0.0.1",), principal=lambda _: "ann")
    until(lambda: all(_is_read(console) for console in consoles.values()))
    return app


def _is_read(console: Console) -> bool:
    console.live.begin()
    if not console.live.is_open:
        return False
    with console.view() as view:
        return view.index.seq >= view.seq
