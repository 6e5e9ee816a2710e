"""Any value of a parameter of an address arrives as it is: where the address is shown and opened again, and in other partitions."""

from __future__ import annotations

from urllib.parse import quote

import pytest

import perdure
from perdure.store.postgres.connecting.postgres_address import PostgresAddress
from tests.host.cluster.accounts import Order
from tests.postgres_server import new_queue, shared_server

pytestmark = pytest.mark.xdist_group("postgres")

ODD = ("-c statement_timeout=9s", "a b", "a+b", "p@ss/w#rd%20?&=:'\"\\$(x)`", "äß 你好", "%", "a=b&c=d", " ", "x" * 1000)


@pytest.mark.parametrize("value", ODD)
def test_an_address_that_is_shown_names_the_same_database(value: str) -> None:
    given = PostgresAddress.parse(f"postgresql:///{quote(value, safe='')}?application_name={quote(value, safe='')}#q/3")
    assert given.parameters == {"dbname": value, "application_name": value}
    assert PostgresAddress.parse(given.text).parameters == given.parameters


@pytest.mark.parametrize("value", ODD)
def test_a_partition_of_another_process_is_reached_by_the_same_parameters(value: str) -> None:
    dsn = f"postgresql:///shop?password={quote(value, safe='')}&host=%2Fa%20b"
    cluster = perdure.Cluster(dsn, name="a b", partitions=2)
    found = PostgresAddress.parse(cluster._blueprint.address(1))
    assert found.parameters == {"dbname": "shop", "password": value, "host": "/a b"}
    assert (found.name, found.partition) == ("a b", 1)


def test_owners_are_asked_over_an_address_with_options_of_the_server() -> None:
    """The options hold a space, as they do wherever an administrator sets one of them."""
    dsn = f"{shared_server().dsn}&options={quote('-c statement_timeout=9s')}"
    name = new_queue()
    with (
        perdure.Cluster(dsn, name=name, partitions=2) as cluster,
        perdure.Cluster(dsn, name=name, partitions=2, ownership="never") as asking,
    ):
        asking.publish(Order("there"))
        asking.cancel(asking.publish(Order("not there")))
        assert asking.admin.metrics().published == cluster.admin.metrics().published == 2
    assert perdure.Audit(f"{dsn}#{quote(name)}/0").verify().ok
