"""Rights by action and type: one `authorize` for this process and for others; a refusal says who, what and which."""

from __future__ import annotations

import gc
import logging
import os
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.messages import Report
from perdure.actors.core.users import user_name
from perdure.events import vocabulary as ev
from perdure.events.actions import ACTIONS, PRESETS
from perdure.events.commands import Replay
from perdure.events.handlers.registry import Register
from perdure.events.queue.dead_letters import replay_item
from perdure.events.queue.searching.letter_search import Selection
from perdure.events.vocabulary import HandlerRegistered
from perdure.security import Rights, administrator, operator, roles, viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER = user_name(os.geteuid())


@perdure.message(name="rights.Order")
@attrs.frozen
class Order:
    number: int


@perdure.message(name="rights.Letter")
@attrs.frozen
class Letter:
    text: str


def fail(_message: Any) -> None:
    raise perdure.Reject("no stock")


class House:
    """An authorize whose rules a test changes."""

    def __init__(self) -> None:
        self.rules: Callable[[str, str, str], Any] = administrator
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, principal: str, action: str, about: str) -> Any:
        self.asked.append((principal, action, about))
        return self.rules(principal, action, about)

    def forbid(self, action: str, about: str = "rights.Order") -> None:
        self.rules = lambda _, asked, type_name: (asked, type_name) != (action, about)


@pytest.fixture(scope="module")
def one_house() -> House:
    return House()


@pytest.fixture
def house(one_house: House) -> House:
    one_house.rules = administrator
    return one_house


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights") / "q"


@pytest.fixture(scope="module")
def system(shop: Path, one_house: House) -> Iterator[perdure.System]:
    with perdure.System(shop, shared=True, authorize=one_house) as system:
        system.handler(Order)(fail)
        system.handler(Letter)(fail)
        yield system


@pytest.fixture(scope="module")
def client(system: perdure.System, shop: Path) -> Iterator[perdure.Client]:
    with perdure.connect(shop) as client:
        yield client


def seqs(system: perdure.System) -> int:
    return system.admin.metrics().seq


def dead(system: perdure.System, number: int = 1) -> str:
    ident = system.publish(Order(number))
    system.drain(timeout=60)
    return ident


ACTS: dict[str, Callable[[Any, str], object]] = {
    "pause": lambda door, _: door.admin.pause(Order),
    "resume": lambda door, _: door.admin.resume(Order),
    "scale": lambda door, _: door.admin.scale(Order, 2),
    "configure": lambda door, _: door.admin.configure(Order, retries=1),
    "replay": lambda door, ident: door.dead_letters.replay(ident),
    "edit": lambda door, ident: door.dead_letters.replay(ident, message=Order(2)),
    "purge": lambda door, _: door.dead_letters.purge(type=Order),
    "cancel": lambda door, ident: door.cancel(ident),
}


@pytest.mark.parametrize("action", ACTS)
def test_an_act_without_the_right_is_refused_and_nothing_is_written(
    system: perdure.System, client: perdure.Client, house: House, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    ident = dead(system)
    client.admin.metrics()
    house.forbid(action)
    before = seqs(system)
    for door, who in ((system, "ann"), (client, USER)):
        with perdure.acting_as("ann"), caplog.at_level(logging.WARNING), pytest.raises(perdure.NotAllowed) as refused:
            ACTS[action](door, ident)
        assert (refused.value.principal, refused.value.action, refused.value.type) == (who, action, "rights.Order")
        assert str(refused.value).startswith(f"{who} may not do this: it takes the right {action!r} for rights.Order")
        assert f"refused: {who} may not" in caplog.text
        assert seqs(system) == before
    house.rules = administrator
    with perdure.acting_as("ann"):
        ACTS[action](system, ident)
    system.admin.resume()


def test_what_the_application_does_itself_is_not_asked(system: perdure.System, house: House) -> None:
    house.rules = lambda *_: False
    house.asked.clear()
    ident = dead(system)
    system.admin.pause(Order)
    system.dead_letters.replay(ident)
    system.cancel(ident)
    system.admin.resume()
    assert house.asked == []


def test_another_process_is_asked_by_its_user_whatever_name_it_acts_under(
    system: perdure.System, client: perdure.Client, house: House
) -> None:
    ident = dead(system)
    house.asked.clear()
    with perdure.acting_as("the chief"):
        client.publish_many([Letter("a"), Letter("b")])
        client.state(ident)
        client.dead_letters.list(type=Order)
        client.admin.pause()
    assert house.asked == [
        (USER, "publish", "rights.Letter"),
        (USER, "look", "rights.Order"),
        (USER, "reveal", "rights.Order"),
        (USER, "pause", ""),
    ]
    client.admin.resume()


def test_another_process_is_told_no_sum_over_types_that_it_may_not_look_at(
    system: perdure.System, client: perdure.Client, house: House
) -> None:
    ident = dead(system)
    system.dead_letters.replay_where("type=rights.Order id=none", id="of orders")
    house.rules = lambda _principal, _action, about: about != "rights.Order"
    calls: dict[str, Callable[[], object]] = {
        "metrics": client.admin.metrics,
        "handlers": client.admin.handlers,
        "letters": client.dead_letters.stats,
        "count of letters": lambda: client.dead_letters.count_where("id!=none"),
        "state": lambda: client.state(ident),
        "replay": lambda: client.dead_letters.replay(ident),
        "figures": client.run_figures,
        "handlers that are registered": lambda: client.ask("dispatcher", Report()),
        "bulk acts": client.dead_letters.bulks,
        "a bulk act": lambda: client.dead_letters.bulk("of orders"),
        "list of letters": client.dead_letters.list,
        "letters that say something": lambda: client.dead_letters.list(reason="no such text in any"),
        "letters with a payload": lambda: client.dead_letters.list(where="payload.number=77777"),
        "purge": lambda: client.dead_letters.purge(reason="no such text in any"),
    }
    for name, call in calls.items():
        with pytest.raises(perdure.NotAllowed) as refused:
            call()
        assert "rights.Order" not in str(refused.value), name
        assert refused.value.type == "", name
    with perdure.acting_as("ann"):  # and in the process of the system
        for own in (
            system.dead_letters.bulks,
            lambda: system.dead_letters.bulk("of orders"),
            lambda: system.dead_letters.list(reason="no such text in any"),
            lambda: system.dead_letters.list(where="payload.number=77777"),
        ):
            with pytest.raises(perdure.NotAllowed):
                own()
        assert system.dead_letters.list(where="type=rights.Letter") is not None
    assert client.admin.count_where("type=rights.Letter").count >= 0  # of a type that it may look at
    assert {letter.type for letter in client.dead_letters.list(type=Letter)} <= {"rights.Letter"}
    assert {letter.type for letter in client.dead_letters.list(where="type=rights.Letter")} <= {"rights.Letter"}
    act = client.dead_letters.replay_where("type=rights.Letter id=none", id="of letters")
    assert client.dead_letters.bulk(act.id) == act


def test_a_viewer_in_another_process_sees_counts_and_changes_nothing(
    system: perdure.System, client: perdure.Client, house: House
) -> None:
    house.rules = viewer
    assert client.admin.metrics().seq == seqs(system)
    before = seqs(system)
    for call in (
        lambda: client.publish(Order(1)),
        lambda: client.submit(Order(1)).result(60),
        lambda: client.checkout(Order),
        client.dead_letters.list,
        client.admin.snapshot,
    ):
        with pytest.raises(perdure.NotAllowed):
            call()
    assert seqs(system) == before


def test_a_payload_that_a_process_changes_is_an_edit_even_if_it_does_not_say_so(
    system: perdure.System, client: perdure.Client, house: House
) -> None:
    ident = dead(system)
    house.forbid("edit")
    found = client.ask("dead_letters", Selection(id=ident))[0]
    item = replay_item(found, reset_retries=True)
    other = ev.evolved(item.published, payload=item.published.payload[:-1] + b"\x63")
    forged = item._replace(published=other)
    with pytest.raises(perdure.NotAllowed, match="'edit'"):
        client.ask("queue", Replay([forged]))
    assert client.ask("queue", Replay([item])) == 1


@pytest.mark.parametrize("answer", ["yes", 1, None, "raises"])
def test_what_is_no_true_refuses(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    def authorize(*_: str) -> Any:
        return 1 / 0 if answer == "raises" else answer

    rights = Rights(authorize)
    with pytest.raises(perdure.NotAllowed):
        rights.require("ann", "pause")
    assert "authorize" in caplog.text


def test_a_coroutine_function_allows_nothing() -> None:
    async def authorize(*_: str) -> bool:
        return True

    rights = Rights(authorize)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.warns(RuntimeWarning, match="never awaited"):
        assert not _allows(rights)


def _allows(rights: Rights) -> bool:
    allowed = rights.allow("ann", "look")
    gc.collect()  # the warning comes when the coroutine is collected
    return allowed


def test_what_is_no_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="authorize"):
        perdure.System(tmp_path / "q", authorize="viewer")  # type: ignore[arg-type]  # wrong on purpose


def test_each_preset_allows_what_the_one_before_allows() -> None:
    allowed = [{action for action in ACTIONS if role("ann", action, "")} for role in (viewer, operator, administrator)]
    assert allowed[0] < allowed[1] < allowed[2] == set(ACTIONS)
    assert allowed[0] == {"look"}
    assert {action.least for action in ACTIONS.values()} == set(PRESETS)
    assert not administrator("ann", "no such action", "")


def test_roles_by_principal() -> None:
    authorize = roles({"ann": administrator}, default=viewer)
    assert authorize("ann", "purge", "x")
    assert authorize("bob", "look", "x")
    assert not authorize("bob", "purge", "x")
    assert not roles({})("ann", "look", "")


def test_handlers_in_another_process_need_the_right_to_consume(
    system: perdure.System, client: perdure.Client, house: House
) -> None:
    registered, *_ = [r.event for r in system.audit.events() if isinstance(r.event, HandlerRegistered)]
    house.forbid("consume")
    with pytest.raises(perdure.NotAllowed, match=r"'consume' for rights\.Order"):
        client.ask("dispatcher", Register(registered))
