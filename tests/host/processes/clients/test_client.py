"""What a client does, the owner being alive: the same as a System, with the same errors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.sessions import server
from perdure.processes.to_owner import exchange
from tests.host.processes.shop import Order, Quote, shop

if TYPE_CHECKING:
    from pathlib import Path


@perdure.message(name="shop.Parcel")
@dataclass
class Parcel:
    number: int = 0


def test_publishing_in_every_way(client: perdure.Client, owner: perdure.System) -> None:
    ids = [client.publish(Order(1)), *client.publish_many([Order(2), Order(3)], keys=["a", None])]
    ids += [future.result(10) for future in [client.submit(Order(n)) for n in range(500)]]
    ids.append(client.submit(Order(4), correlation_id="c").result(10))
    assert len(set(ids)) == 504
    client.drain(30)
    assert owner.admin.metrics().completed == 504


def test_one_id_counts_once(client: perdure.Client, owner: perdure.System) -> None:
    assert client.publish(Order(1), id="one") == client.publish(Order(1), id="one") == owner.publish(Order(1), id="one")
    assert owner.admin.metrics().published == 1


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 10_000, 5, b"x"])
def test_a_name_that_no_owner_could_read_is_refused_at_once(owner: perdure.System, folder: Path, name: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^name: "):
        perdure.connect(folder, name=name)


@pytest.mark.parametrize("program", ["\udcff.py", "x" * 250, "\x1b[31m"])
def test_a_program_of_any_name_is_let_in(
    owner: perdure.System, folder: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program])
    with perdure.connect(folder) as client:
        assert client.publish(Order(1))


def test_what_is_larger_than_a_commit_is_refused_before_it_is_sent(client: perdure.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_BYTES_MAX", 1000)
    with pytest.raises(perdure.PayloadTooLarge, match="several"):
        client.publish(Order(1), headers={"h": "x" * 2000})
    assert client.publish(Order(1))


def test_calling_and_results(client: perdure.Client) -> None:
    assert client.call(Quote(21), timeout=10) == 42
    ident = client.publish(Quote(4), keep_result=60)
    assert client.result(ident, timeout=10) == 8
    with pytest.raises(perdure.HandlerFailed, match="no such quote") as failed:
        client.call(Quote(-1), timeout=10)
    assert failed.value.exception == "ValueError"
    with pytest.raises(perdure.UnknownMessage):
        client.result("none", timeout=1)


def test_what_nothing_handles_is_not_called(client: perdure.Client) -> None:
    @perdure.message(name="shop.Unheard")
    class Unheard: ...

    with pytest.raises(perdure.UnknownMessageType, match=r"shop\.Quote"):
        client.call(Unheard())


def test_where_a_message_is(client: perdure.Client) -> None:
    ident = client.publish(Order(1), delay=1000, key="k", group="g")
    state = client.state(ident)
    assert (state.status, state.key, state.group, state.type) == ("delayed", "k", "g", "shop.Order")
    assert state.due is not None
    assert client.cancel(ident)
    assert not client.cancel(ident)
    assert client.state(ident).status == "cancelled"
    assert client.state("none").status == "unknown"


def test_errors_are_of_the_same_class(client: perdure.Client) -> None:
    client.publish(Order(1), key="k", delay=1000, id="first")
    with pytest.raises(perdure.DuplicateKey) as held:
        client.publish(Order(2), key="k", dedup="reject")
    assert held.value.live_id == "first"
    with pytest.raises(perdure.InvalidMessage, match="delay"):
        client.publish(Order(1), delay=-1)
    with pytest.raises(perdure.UnknownMessageType):
        client.admin.scale("none", 3)
    with pytest.raises(perdure.UnknownMessage):
        client.dead_letters.get("none")


def test_the_owners_policies_and_bounds_reach_a_client_also_when_they_come_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOOK_S", 600)  # they are told when they change, not when the server looks next
    system = perdure.System(folder, shared=True, options=perdure.Options(payload_bytes_max=100))

    @perdure.message(name="shop.Late")
    class Late:
        text: str = ""

    with system, perdure.connect(folder) as client:
        with pytest.raises(perdure.PayloadTooLarge):
            client.publish({"text": "x" * 200})

        @system.handler(Quote, dedup="reject")
        def quote(message: Quote) -> int:
            return message.number

        client.publish(Quote(1), key="k", delay=1000)
        until = threading.Event()
        for _ in range(100):
            if "shop.Quote" in client.drafts.policies:
                break
            until.wait(0.05)
        with pytest.raises(perdure.DuplicateKey):
            client.publish(Quote(2), key="k")
        assert client.call(Quote(7), timeout=10) == 7


def test_consuming_by_hand(client: perdure.Client) -> None:
    assert client.checkout(Parcel) is None
    ids = [client.publish(Parcel(), headers={"a": "b"}) for _ in range(4)]
    first = client.checkout(Parcel)
    assert first is not None
    assert (first.id, first.attempt, dict(first.headers), type(first.message)) == (ids[0], 1, {"a": "b"}, Parcel)
    first.heartbeat(50, "half")
    assert client.state(first.id).percent == 50
    first.extend(100)
    first.ack()
    with pytest.raises(perdure.LeaseLost):
        first.ack()
    second = client.checkout(Parcel, retries=3)
    assert second is not None
    second.requeue("later")
    with pytest.raises(perdure.LeaseLost):
        second.heartbeat(60)
    third = client.checkout(Parcel)
    assert third is not None
    third.reject("not wanted")
    (letter,) = client.dead_letters.list()
    assert (letter.id, letter.reason) == (third.id, "not wanted")


def test_dead_letters(client: perdure.Client) -> None:
    ids = [client.publish(Order(-n)) for n in (1, 2, 3)]
    client.drain(30)
    letters = client.dead_letters.list(type=Order)
    assert {letter.id for letter in letters} == set(ids)
    assert letters[0].exception == "ValueError"
    assert letters[0].failures[0].message == "no such order"
    assert client.dead_letters.stats().total == 3
    client.dead_letters.replay(ids[0], message=Order(1))
    assert client.dead_letters.replay_all(dry_run=True) == 2
    assert client.dead_letters.replay_all() == 2
    client.drain(30)
    assert client.state(ids[0]).status == "completed"
    assert client.dead_letters.purge() == 2


def test_operating(client: perdure.Client, owner: perdure.System) -> None:
    client.admin.pause(Order)
    client.publish(Order(1))
    assert client.admin.metrics().ready == 1
    assert client.admin.handlers()["shop.Order"].paused
    client.admin.scale(Order, 3)
    client.admin.configure(Order, retries=2)
    with pytest.raises(perdure.InvalidMessage):
        client.admin.configure(Order, retries=-2)
    client.admin.resume(Order)
    client.drain(30)
    mine, theirs = client.admin.metrics(), owner.admin.metrics()
    assert (mine.completed, mine.ready, mine.seq) == (theirs.completed, theirs.ready, theirs.seq)
    assert (mine.since_start, mine.runtime_counters) == (theirs.since_start, theirs.runtime_counters)
    assert client.admin.handlers()["shop.Order"].processed == 1
    assert client.admin.snapshot() >= mine.seq
    assert next(record.name for record in client.audit.timeline(client.publish(Order(1)))) == "Published"
    with pytest.raises(perdure.PerdureError, match="owner's process"), client.admin.hold_history():
        pass


def test_coroutines(owner: perdure.System, folder: Path) -> None:
    async def main() -> None:
        async with perdure.connect(folder) as client:
            ids = await asyncio.gather(*(client.apublish(Order(n)) for n in range(100)))
            assert len(set(ids)) == 100
            assert await (await client.asubmit(Order(1))) not in ids
            assert await client.acall(Quote(4), timeout=10) == 8
            await client.adrain(30)
            assert (await client.astate(ids[0])).status == "completed"

    asyncio.run(main())
    assert owner.admin.metrics().completed == 102


def test_many_threads_of_one_client(client: perdure.Client, owner: perdure.System) -> None:
    def work() -> None:
        for n in range(50):
            client.publish(Order(n))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert owner.admin.metrics().published == 200


def test_submitted_messages_find_room_one_by_one_as_the_owners_own_do(folder: Path) -> None:
    with shop(str(folder), options=perdure.Options(backlog_max=10)), perdure.connect(folder) as client:
        futures = [client.submit(Parcel(n)) for n in range(30)]
        accepted = 10
        while accepted < 30:
            concurrent.futures.wait(futures[:accepted], timeout=30)
            assert all(future.done() for future in futures[:accepted])
            assert not any(future.done() for future in futures[accepted + 1 :])
            delivery = client.checkout(Parcel)
            assert delivery is not None
            assert delivery.message.number == accepted - 10, "in the order in which they were submitted"
            delivery.ack()
            accepted += 1
        assert len({future.result(30) for future in futures}) == 30


def test_closing_waits_for_what_was_submitted_and_refuses_what_comes_later(owner: perdure.System, folder: Path) -> None:
    client = perdure.connect(folder)
    futures = [client.submit(Order(n)) for n in range(300)]
    client.close()
    client.close()
    assert len({future.result(0) for future in futures}) == 300
    with pytest.raises(perdure.NotRunning, match="closed"):
        client.publish(Order(1))


def test_a_callback_must_not_wait(client: perdure.Client) -> None:
    raised: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    here = threading.get_ident()

    def callback(_: object) -> None:
        if threading.get_ident() == here:  # it was answered before it had a callback, and this thread may wait
            raised.put(None)
            return
        try:
            client.publish(Order(2))
        except perdure.WouldDeadlock as error:
            raised.put(error)

    for _ in range(1000):
        client.submit(Order(1)).add_done_callback(callback)
        error = raised.get(timeout=10)
        if error is not None:
            return
    pytest.fail("each was answered before it had a callback")


def test_a_wait_that_ends_is_forgotten_by_the_owner(client: perdure.Client, owner: perdure.System) -> None:
    ident = client.publish(Order(1), delay=1000, keep_result=60)
    with pytest.raises(TimeoutError, match="not ended"):
        client.result(ident, timeout=0.05)
    client.publish(Order(2))
    for _ in range(200):
        if not owner.runtime.pending.outstanding:
            break
        threading.Event().wait(0.05)
    assert not owner.runtime.pending.outstanding


def test_a_client_is_for_one_process_and_one_codec(client: perdure.Client, folder: Path) -> None:
    with pytest.raises(TypeError, match="connect"):
        pickle.dumps(client)
    with pytest.raises(perdure.NotRunning, match="codec"):
        perdure.connect(folder, timeout=0.5, codec=perdure.CloudPickle(key=b"k" * 32))
    with pytest.raises(perdure.InvalidMessage, match="timeout"):
        perdure.connect(folder, timeout=0)


def test_only_a_shared_system_listens(tmp_path: Path) -> None:
    with perdure.System(tmp_path) as system:
        assert system.role == "owner"
        assert not (tmp_path / "owner.sock").exists()
        with pytest.raises(perdure.NotRunning, match=r"shared=True") as refusal:
            perdure.connect(tmp_path, timeout=0.1)
        assert refusal.value.__context__ is None, "a look of our own is shown with the error"
    with pytest.raises(TypeError, match="shared"):
        perdure.System(store=perdure.MemoryStore(), shared=True)


def test_a_second_owner_in_one_process_is_refused(owner: perdure.System, folder: Path) -> None:
    with pytest.raises(perdure.StoreLocked, match="this very process"):
        perdure.System(folder, shared=True).start()


def test_errors_of_a_system_that_does_not_run_name_the_way_for_other_processes(tmp_path: Path) -> None:
    with pytest.raises(perdure.NotRunning, match=r"shared=True.*perdure\.connect"):
        perdure.System(tmp_path).publish(Order(1))
