"""The tables in PostgreSQL: their version, the rights that roles need, and what is never shown."""

from __future__ import annotations

import logging
import queue
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store import accept_loss, create_tables, open_reader, verify
from tests.postgres_server import PATIENCE_S, Server, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("postgres")
SECRET = "s3cret-of-the-database"  # noqa: S105 - of nobody


@pytest.fixture
def server() -> Server:
    return shared_server()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """An empty database of its own; gives how to connect to it."""
    name = new_queue().replace(" ", "_")
    server.run(f"CREATE DATABASE {name}")
    yield server.dsn.replace("/postgres?", f"/{name}?")
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def written(dsn: str, name: str) -> None:
    store = perdure.PostgresStore(dsn, name=name)
    store.open()
    store.append(b"one", 1, expected_seq=store.last_seq + 1, durable=True)
    store.close()


def test_tables_of_a_newer_version_are_refused_and_left_alone(database: str) -> None:
    import psycopg

    written(database, "orders")
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO perdure.version VALUES (99)")
    for step in (perdure.PostgresStore(database, name="orders").open, open_reader(f"{database}#orders/0").check_readable):
        with pytest.raises(perdure.StoreUnavailable, match="version 99"):
            step()


def test_a_database_without_tables_is_told_as_such(database: str) -> None:
    with pytest.raises(perdure.StoreUnavailable, match="no tables of perdure"):
        perdure.Audit(f"{database}#orders")


def test_queue_and_partition_may_be_left_out_where_there_is_one(database: str) -> None:
    written(database, "orders")
    assert len(list(open_reader(database).frames())) == 1
    assert len(list(open_reader(f"{database}#orders").frames())) == 1
    written(database, "returns of goods")
    with pytest.raises(perdure.StoreUnavailable, match=r"#orders/0, #returns of goods/0"):
        open_reader(database).check_readable()
    assert len(list(open_reader(f"{database}#returns%20of%20goods").frames())) == 1


def test_an_owner_needs_no_right_to_write_the_tables_and_a_reader_none_to_call_anything(database: str) -> None:
    import psycopg

    written(database, "orders")
    owner, auditor = f"owner_{abs(hash(database))}", f"auditor_{abs(hash(database))}"
    with psycopg.connect(database) as connection:
        for role in (owner, auditor):
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
            connection.execute(f"GRANT USAGE ON SCHEMA perdure TO {role}".encode())
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA perdure TO {role}".encode())
        connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure TO {owner}".encode())
        connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA perdure TO {owner}".encode())
    try:
        as_owner, as_auditor = (database.replace("user=perdure", f"user={role}") for role in (owner, auditor))
        written(as_owner, "orders")
        assert verify(open_reader(f"{as_auditor}#orders")).last_seq == 2
        assert open_reader(f"{as_auditor}#orders").exposure() is None
        with pytest.raises(perdure.StoreUnavailable, match="may not"):
            perdure.PostgresStore(as_auditor, name="orders").open()
        for role in (as_owner, as_auditor):
            with psycopg.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM perdure.frame")
    finally:
        with psycopg.connect(database) as connection:
            for role in (owner, auditor):
                connection.execute(f"DROP OWNED BY {role}".encode())
                connection.execute(f"DROP ROLE {role}".encode())


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://orders:{SECRET}@127.0.0.1:1/shop",
        f"host=127.0.0.1 port=1 dbname=shop user=orders password={SECRET}",
        f"postgresql:///shop?host=127.0.0.1&port=1&password={SECRET}",
    ],
)
def test_a_password_is_shown_nowhere(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = perdure.PostgresStore(dsn, name="orders")
    system = perdure.System(store=store)
    with pytest.raises(perdure.StoreUnavailable) as refused:
        system.start()
    shown = [repr(store), str(store.address), repr(system), repr(store.database.address), caplog.text]
    error: BaseException | None = refused.value
    while error is not None:
        shown += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if SECRET in text]
    assert "orders" in store.address


def test_an_address_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(perdure.StoreUnavailable) as refused:
        perdure.PostgresStore(f"postgresql://orders:{SECRET}@host/shop?nonsense=1", name="orders")
    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r}"
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(("name", "partition"), [("", 0), ("a\nb", 0), ("x" * 201, 0), ("orders", -1), ("orders", 1 << 20)])
def test_names_and_numbers_are_checked(name: str, partition: int) -> None:
    with pytest.raises(ValueError, match=r"name|partition"):
        perdure.PostgresStore("postgresql:///shop", name=name, partition=partition)


def test_damage_in_the_tables_is_found_by_verify_and_stops_a_reader(database: str) -> None:
    import psycopg

    for _ in range(4):
        written(database, "orders")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE perdure.frame SET body = set_byte(body, 58, 7) WHERE first_seq = 2")
        connection.execute("DELETE FROM perdure.frame WHERE first_seq = 3")
    reader = open_reader(f"{database}#orders")
    problems = [(finding.seq, finding.problem) for finding in verify(reader).findings]
    assert [seq for seq, _ in problems] == [2, 2], problems
    with pytest.raises(perdure.StoreCorrupt, match="sequence 2"):
        list(reader.frames())
    assert [frame.first_seq for frame in reader.frames(3)] == [4]


def test_tables_of_the_first_version_are_brought_up_to_date(database: str) -> None:
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute(files("perdure.store.postgres").joinpath("sql", "tables.sql").read_bytes())
        connection.execute("INSERT INTO perdure.version VALUES (1)")
        connection.execute(  # as it was named then, which cannot be changed in place
            "CREATE FUNCTION perdure.renew(p integer, who text, seconds double precision, durable boolean) RETURNS boolean "
            "LANGUAGE sql AS 'SELECT true'"
        )
    written(database, "orders")
    assert len(list(open_reader(database).frames())) == 1


def test_an_upgrade_keeps_what_roles_may_call_and_owners_that_run(database: str) -> None:
    import psycopg

    store = perdure.PostgresStore(database, name="orders")
    store.open()
    store.append(b"one", 1, expected_seq=1, durable=True)
    owner, publisher = (f"{kind} of {abs(hash(database))}" for kind in ("owner", "publisher"))
    may = (
        "SELECT has_function_privilege(%s, p.oid, 'EXECUTE') FROM pg_proc p "
        "WHERE p.pronamespace = 'perdure'::regnamespace AND p.proname = %s"
    )
    try:
        with psycopg.connect(database) as connection:
            for role in (owner, publisher):
                connection.execute(f'CREATE ROLE "{role}"'.encode())
            connection.execute("DROP FUNCTION perdure.discard_copies")  # as before version 4
            connection.execute(f'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure TO "{owner}"'.encode())
            connection.execute(f'GRANT EXECUTE ON FUNCTION perdure.add_to_ingress TO "{publisher}"'.encode())
            connection.execute("UPDATE perdure.version SET version = 3")
        assert create_tables(database)
        store.append(b"two", 1, expected_seq=2, durable=True)  # by the statement that it had prepared before
        with psycopg.connect(database) as connection:
            found = {
                (role, name): connection.execute(may, [role, name]).fetchone()
                for role in (owner, publisher)
                for name in ("add_to_ingress", "append", "discard_copies")
            }
        assert [role_name for role_name, answer in found.items() if answer == (True,)] == [
            (owner, "add_to_ingress"),
            (owner, "append"),
            (owner, "discard_copies"),
            (publisher, "add_to_ingress"),
        ]
    finally:
        store.close()
        with psycopg.connect(database) as connection:
            for role in (owner, publisher):
                connection.execute(f'DROP OWNED BY "{role}"'.encode())
                connection.execute(f'DROP ROLE "{role}"'.encode())
    assert verify(open_reader(f"{database}#orders")).last_seq == 2


@pytest.mark.parametrize("is_sole", [True, False])
def test_an_upgrade_by_another_role_takes_nothing_from_the_one_that_made_the_functions(database: str, is_sole: bool) -> None:
    import psycopg

    maker = f"maker_{abs(hash(database))}"
    as_maker = database.replace("user=perdure", f"user={maker}")
    with psycopg.connect(database) as connection:
        connection.execute(f"CREATE ROLE {maker} LOGIN; GRANT CREATE ON DATABASE {connection.info.dbname} TO {maker}".encode())
    try:
        written(as_maker, "orders")
        with psycopg.connect(database) as connection:
            connection.execute("UPDATE perdure.version SET version = 3")
            if not is_sole:
                connection.execute("ALTER FUNCTION perdure.append OWNER TO perdure")
                connection.execute(f"GRANT EXECUTE ON FUNCTION perdure.append TO {maker}".encode())
        assert create_tables(database)
        with psycopg.connect(database) as connection:
            found = connection.execute(
                "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'perdure'::regnamespace"
            )
            assert found.fetchall() == [(maker if is_sole else "perdure",)], "they run with the rights of their owner"
        written(as_maker, "orders")
    finally:
        with psycopg.connect(database) as connection:
            connection.execute(f"DROP OWNED BY {maker} CASCADE; DROP ROLE {maker}".encode())


def test_an_owner_that_writes_nothing_finds_out_that_the_database_holds_less_although_no_connection_ended(database: str) -> None:
    import psycopg

    store = perdure.PostgresStore(database, name="orders", lease=0.6)
    store.open()
    store.append(b"one", 1, expected_seq=1, durable=True)
    reasons: queue.SimpleQueue[perdure.OwnershipLost] = queue.SimpleQueue()
    store.watch_ownership(reasons.put)
    with psycopg.connect(database) as connection:  # as behind a pooler that leads to another server
        connection.execute("DELETE FROM perdure.frame")
    assert "its log ends at 0, but was synced up to 1" in str(reasons.get(timeout=PATIENCE_S))
    store.abandon()


def test_an_owner_that_finds_less_than_this_process_knew_to_be_durable_refuses(database: str) -> None:
    import psycopg

    from perdure.store.postgres import high_water

    written(database, "orders")
    written(database, "orders")
    with psycopg.connect(database) as connection:  # as after a failover to a standby that lagged behind
        connection.execute("DELETE FROM perdure.frame WHERE first_seq = 2")
    store = perdure.PostgresStore(database, name="orders")
    with pytest.raises(perdure.StoreCorrupt, match="was synced up to 2"):
        store.open()
    high_water.forget(store.address)  # a new process knows nothing, but the witness has put it on record
    with pytest.raises(perdure.StoreCorrupt, match=r"was synced up to 2.*perdure accept-loss"):
        store.open()
    assert accept_loss(store.address)[0].lost == 1
    assert store.open().last_seq == 1
    store.append(b"another", 1, expected_seq=2, durable=True)
    store.close()
    assert accept_loss(store.address)[0].lost == 0
    assert store.open().last_seq == 2
    store.close()


def test_a_witness_that_comes_after_the_loss_was_accepted_learns_of_it(database: str) -> None:
    import psycopg

    from perdure.store.postgres import high_water

    written(database, "orders")
    written(database, "orders")
    store = perdure.PostgresStore(database, name="orders")
    witness = high_water.known(store.address)
    assert witness is not None
    with psycopg.connect(database) as connection:  # as after a failover to a standby that lagged behind, marks included
        connection.execute("DELETE FROM perdure.frame WHERE first_seq = 2")
        connection.execute("DELETE FROM perdure.high_water")
    with pytest.raises(perdure.StoreCorrupt, match="was synced up to 2"):
        store.open()
    accept_loss(store.address)
    high_water.forget(store.address)
    high_water.learn(store.address, witness)  # a process that was cut off all the time
    assert store.open().last_seq == 1
    store.close()
    assert high_water.known(store.address, witness.store_id) != witness


def test_an_owner_reads_a_few_mebibytes_at_a_time_and_of_each_client_its_oldest(database: str) -> None:
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.traffic.channels import ChannelEnd

    store = perdure.PostgresStore(database, name="orders")
    store.open()
    address = PostgresAddress.parse(database).at("orders", 0)
    channels = store.channels()
    channels.begin()
    loud, quiet = ChannelEnd(address), ChannelEnd(address)
    mebibyte = b"x" * (1 << 20)
    loud.speak([mebibyte] * 7)
    quiet.speak([b"one", b"two"])
    loud.leave()
    first, second, third = ([(number, body) for _, number, body, _ in channels.serve([], [])] for _ in range(3))
    assert sorted(first) == [(1, b"one"), (1, mebibyte), (2, b"two"), (2, mebibyte), (3, mebibyte), (4, mebibyte)]
    assert second == [(5, mebibyte), (6, mebibyte), (7, mebibyte), (-1, b"")], "it has left, and all of it is read"
    assert third == []
    quiet.leave()
    channels.close()
    store.close()


def test_a_client_that_gives_no_sign_of_life_is_forgotten_and_an_owner_before_answers_nothing(database: str) -> None:
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.traffic.channels import ChannelEnd

    store = perdure.PostgresStore(database, name="orders")
    store.open()
    address = PostgresAddress.parse(database).at("orders", 0)
    channels = store.channels()
    channels.begin()
    silent, alive = ChannelEnd(address), ChannelEnd(address)
    silent.speak([b"hello"])
    alive.speak([b"one", b"two"])
    came = channels.serve([], [])
    assert sorted((number, body, role) for _, number, body, role in came) == [
        (1, b"hello", "perdure"),
        (1, b"one", "perdure"),
        (2, b"two", "perdure"),
    ]
    [channel] = [channel for channel, _, body, _ in came if body == b"two"]
    channels.serve([(channel, 1, b"answer", "")], [])
    assert alive.speak([]) == ([b"answer"], False)
    channels.silent_s = 0.0
    assert {number for _, number, _, _ in channels.serve([], [])} == {-1}
    assert silent.speak([b"late"]) == ([], True)
    other = perdure.PostgresStore(database, name="orders")
    store.close()
    other.open()
    with pytest.raises(perdure.StoreUnavailable):
        channels.serve([], [])
    for end in (silent, alive):
        end.leave()
    channels.close()
    other.close()
