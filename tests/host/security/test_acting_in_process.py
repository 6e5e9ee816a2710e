"""Within `acting_as`, the owner's own process asks `authorize` before it publishes, takes out and looks, as for another process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.operations import asked_audit
from perdure.security import administrator, operator, roles, viewer
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0


@perdure.message(name="acting.Order")
@attrs.frozen
class Order(perdure.Returns[int]):
    number: int


@perdure.message(name="acting.Letter")
@attrs.frozen
class Letter:
    number: int


def clerk(principal: str, action: str, type_name: str) -> bool:
    """Letters only, and cancelling without looking."""
    return (type_name == "acting.Letter" and action in {"look", "publish", "consume"}) or action == "cancel"


def rules(principal: str, action: str, type_name: str) -> bool:
    if principal == "postman":
        return type_name in ("", "acting.Letter")
    if principal == "clerk":
        return clerk(principal, action, type_name)
    return roles({"ann": administrator, "oscar": operator, "vera": viewer})(principal, action, type_name)


@pytest.fixture(scope="module")
def system() -> Iterator[perdure.System]:
    system = perdure.System(store=perdure.MemoryStore(), authorize=rules)
    system.handler(Order, retries=0)(lambda order: order.number)
    with system:
        system.publish(Order(1), id="done", keep_result=3600.0)
        assert system.result("done", timeout=PATIENCE_S) == 1
        system.publish(Letter(1), id="waits")
        delivery = system.checkout(Letter)
        assert delivery is not None
        delivery.reject("no address")
        system.dead_letters.purge_where("type=acting.Nothing", id="none were meant")
        yield system


def asyncly(call: Callable[[], Any]) -> Any:
    async def run() -> Any:
        return await call()

    return asyncio.run(run())


PUBLISHES: dict[str, Callable[[perdure.System], Any]] = {
    "publish": lambda system: system.publish(Order(1)),
    "publish_many": lambda system: system.publish_many([Order(2), Order(1)]),
    "submit": lambda system: system.submit(Order(1)),
    "apublish": lambda system: asyncly(lambda: system.apublish(Order(1))),
    "asubmit": lambda system: asyncly(lambda: system.asubmit(Order(1))),
    "call": lambda system: system.call(Order(1), timeout=PATIENCE_S),
    "acall": lambda system: asyncly(lambda: system.acall(Order(1), timeout=PATIENCE_S)),
}
LOOKS: dict[str, Callable[[perdure.System], Any]] = {
    "state": lambda system: system.state("done"),
    "astate": lambda system: asyncly(lambda: system.astate("done")),
    "result": lambda system: system.result("done", timeout=0),
    "metrics": lambda system: system.admin.metrics(),
    "handlers": lambda system: system.admin.handlers(),
    "drain": lambda system: system.drain(PATIENCE_S),
    "adrain": lambda system: asyncly(lambda: system.adrain(PATIENCE_S)),
    "stats": lambda system: system.dead_letters.stats(),
    "count letters": lambda system: system.dead_letters.count_where("type=acting.Letter"),
    "count messages": lambda system: system.admin.count_where("type=acting.Letter"),
    "bulk": lambda system: system.dead_letters.bulk("none were meant"),
    "bulks": lambda system: system.dead_letters.bulks(),
    "explain": lambda system: system.audit.explain("done"),
    "acts": lambda system: list(system.audit.acts()),
    "state at": lambda system: system.audit.state_at(1),
    "verify": lambda system: system.audit.verify(),
}
REVEALS: dict[str, Callable[[perdure.System], Any]] = {
    "list": lambda system: system.dead_letters.list(),
    "get": lambda system: system.dead_letters.get("waits"),
    "events": lambda system: list(system.audit.events()),
    "timeline": lambda system: system.audit.timeline("waits"),
    "search": lambda system: list(system.audit.search("payload.number=1")),
    "follow": lambda system: next(system.audit.follow(lambda: None)),
}
KILLS: dict[str, Callable[[perdure.System], Any]] = {
    "reference": lambda system: system.actors["timer"],
    "references": lambda system: system.actors.items(),
    "kill": lambda system: system.actors.kill("timer"),
}


@pytest.mark.parametrize("call", PUBLISHES)
def test_publishing_takes_the_right_to_publish_each_type(system: perdure.System, call: str) -> None:
    before = system.admin.metrics().published
    for principal in ("vera", "nobody", "clerk"):
        with perdure.acting_as(principal), pytest.raises(perdure.NotAllowed, match="'publish' for acting"):
            PUBLISHES[call](system)
    assert system.admin.metrics().published == before, "nothing was published"
    with perdure.acting_as("oscar"):
        PUBLISHES[call](system)


@pytest.mark.parametrize("call", LOOKS)
def test_looking_takes_the_right_to_look(system: perdure.System, call: str) -> None:
    for principal in ("nobody", "clerk"):
        with perdure.acting_as(principal), pytest.raises(perdure.NotAllowed, match="'look'"):
            LOOKS[call](system)
    for principal in ("vera", "oscar", "ann"):
        with perdure.acting_as(principal):
            LOOKS[call](system)
    LOOKS[call](system)


OF_ALL_TYPES = {
    **{name: LOOKS[name] for name in ("metrics", "handlers", "acts", "state at")},
    **{name: REVEALS[name] for name in ("events", "search", "follow")},
    "count messages": lambda system: system.admin.count_where("id!=none"),
    "cancel by an expression": lambda system: system.admin.cancel_where("id!=none"),
    **{name: LOOKS[name] for name in ("explain",)},
}
"""What would tell of messages of all types, or of one that is not to be seen: an Order."""


@pytest.mark.parametrize("call", OF_ALL_TYPES)
def test_what_one_may_not_look_at_is_in_no_sum_and_in_no_error(
    system: perdure.System, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The right for the empty type is not enough where there are types that the principal may not look at."""
    waits = system.publish(Order(1), delay=900.0)
    with perdure.acting_as("postman"):
        with caplog.at_level("WARNING"), pytest.raises(perdure.NotAllowed) as refused:
            OF_ALL_TYPES[call](system)
        assert refused.value.type == ""
        assert "acting.Order" not in str(refused.value)
        assert "for a type that it may not look at" in str(refused.value)
        assert "acting.Order" in caplog.text, "the application's log says which"
        assert system.dead_letters.stats().by_type == {"acting.Letter": 1}
        assert [letter.id for letter in system.dead_letters.list()] == ["waits"]
        for one in (system.cancel, system.state, lambda ident: system.result(ident, timeout=0)):
            with pytest.raises(perdure.NotAllowed, match="for a type that it may not look at"):
                one(waits)
    system.cancel(waits)


@pytest.mark.parametrize("call", REVEALS)
def test_payloads_of_dead_letters_take_the_right_to_reveal(system: perdure.System, call: str) -> None:
    for principal in ("vera", "clerk"):
        with perdure.acting_as(principal), pytest.raises(perdure.NotAllowed, match="'reveal'"):
            REVEALS[call](system)
    with perdure.acting_as("oscar"):
        REVEALS[call](system)


@pytest.mark.parametrize("call", KILLS)
def test_killing_an_actor_or_having_one_in_hand_takes_the_right_to_kill(system: perdure.System, call: str) -> None:
    for principal in ("vera", "oscar", "clerk"):
        with perdure.acting_as(principal), pytest.raises(perdure.NotAllowed, match="'kill'"):
            KILLS[call](system)
    with perdure.acting_as("ann"):
        KILLS[call](system)
    assert system.actors.keys()  # names tell nothing that metrics do not


def test_rights_are_by_type_and_an_act_takes_no_right_to_look(system: perdure.System) -> None:
    with perdure.acting_as("clerk"):
        ident = system.publish(Letter(2))
        assert system.state(ident).status == "ready"
        assert "acting.Letter" in system.audit.explain(ident)
        assert system.cancel(ident)
        system.publish(Letter(3))
        delivery = system.checkout(Letter)
        assert delivery is not None
        delivery.ack()
        with pytest.raises(perdure.NotAllowed, match="'consume' for acting"):
            system.checkout(Order)
    with perdure.acting_as("oscar"), pytest.raises(perdure.NotAllowed, match="'consume'"):
        system.checkout(Letter)


def test_what_the_application_and_its_handlers_do_for_themselves_is_not_asked() -> None:
    system = perdure.System(store=perdure.MemoryStore(), authorize=lambda *_: False)

    @system.handler(Order)
    def handle(order: Order, ctx: perdure.Context) -> int:
        ctx.publish(Letter(order.number))
        return order.number

    with system:
        assert system.call(Order(7), timeout=PATIENCE_S) == 7
        assert system.admin.metrics().published == 2
        assert system.checkout(Letter) is not None


@pytest.mark.xdist_group("postgres")
def test_a_cluster_asks_in_its_own_process_too() -> None:
    cluster = perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2, authorize=rules)
    with cluster:
        ident = cluster.publish(Order(1))
        calls: list[Callable[[], Any]] = [
            lambda: cluster.publish(Order(2)),
            lambda: cluster.state(ident),
            lambda: cluster.checkout(Order),
            lambda: cluster.audit.timeline(ident),
            cluster.audit.events,
            cluster.audit.verify,
        ]
        for call in calls:
            with perdure.acting_as("nobody"), pytest.raises(perdure.NotAllowed):
                call()
        with perdure.acting_as("ann"):
            assert cluster.state(ident).known
            events = cluster.audit.events(type="Published")
        assert [record.message_id for _, record in events] == [ident]


def test_an_audit_of_a_system_that_runs_folds_no_log_to_know_its_types(
    system: perdure.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second state of a queue with a large backlog takes as much memory again."""

    def refused(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(asked_audit, "fold_log", refused)
    with perdure.acting_as("oscar"):
        for call in ("events", "search", "follow"):
            REVEALS[call](system)
        LOOKS["acts"](system)
    with perdure.acting_as("postman"), pytest.raises(perdure.NotAllowed):
        REVEALS["events"](system)


def test_an_audit_of_a_system_that_does_not_run_reads_its_types_in_the_log() -> None:
    store = perdure.MemoryStore()
    with perdure.System(store=store) as before:
        before.publish(Order(1))
    system = perdure.System(store=store, authorize=rules)
    with perdure.acting_as("postman"), pytest.raises(perdure.NotAllowed):
        system.audit.events()
    with perdure.acting_as("oscar"):
        assert list(system.audit.events())


def test_following_asks_for_each_type_that_is_published_later() -> None:
    with perdure.System(store=perdure.MemoryStore(), authorize=rules) as system:
        with perdure.acting_as("postman"):
            shown = system.audit.follow(lambda: None)
        while next(shown) is not None:
            pass
        system.publish(Letter(1), id="letter")
        assert "letter" in [record.message_id for record in iter(lambda: next(shown), None) if record is not None]
        system.publish(Order(1), id="order")
        with pytest.raises(perdure.NotAllowed) as refused:
            assert "order" not in [record.message_id for record in shown if record is not None]
        assert "acting.Order" not in str(refused.value)
