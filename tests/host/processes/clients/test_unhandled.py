"""Messages that no process handles are named, and a handler in any process counts: a class may have two names by mistake."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.processes import owner_facts
from tests.host.processes.shop import Order, Quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Until
    from tests.programs import Program

PATIENCE_S = 30.0


def named(name: str) -> Any:
    return perdure.message(name=name)(dataclasses.make_dataclass("Parcel", [("number", int)]))


RUN, IMPORTED, OTHER = named("__main__.Parcel"), named("post.Parcel"), named("post.Letter")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_drain_that_times_out_names_the_types_that_nothing_handles(folder: Path) -> None:
    with perdure.System(folder) as system:
        system.publish_many([OTHER(n) for n in range(3)])
        with pytest.raises(
            TimeoutError, match=r"still 3 ready, .* in flight\. No handler is at work for post\.Letter \(3\): start a"
        ):
            system.drain(0.01)
        system.handler(RUN)(lambda _: None)
        system.publish_many([IMPORTED(n) for n in range(2)])
        with pytest.raises(TimeoutError) as told:
            system.drain(0.01)
        assert "No handler is at work for post.Letter (3), post.Parcel (2); there is one for __main__.Parcel." in str(told.value)
        assert '@perdure.message(name="post.Parcel")' in str(told.value)


def test_a_drain_that_times_out_names_the_types_that_are_paused(folder: Path) -> None:
    system = perdure.System(folder, shared=True)
    system.handler(RUN)(lambda _: None)
    system.handler(OTHER)(lambda _: None)
    with system, perdure.connect(folder) as client:
        system.admin.pause(OTHER)
        system.publish_many([OTHER(n) for n in range(3)])
        for front in (system, client):
            with pytest.raises(TimeoutError, match=r"in flight\. Paused: post\.Letter \(3\); `admin\.resume` lets"):
                front.drain(0.01)
        system.admin.resume()
        system.drain(PATIENCE_S)


def test_a_result_that_nothing_will_give_is_warned_of_once_for_each_type(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with perdure.System(folder) as system:
        idents = [system.publish(kind(n), keep_result=60.0) for n in range(3) for kind in (OTHER, RUN)]
        for ident in idents * 2:
            with pytest.raises(TimeoutError):
                system.result(ident, timeout=0.001)
    assert sorted(said.partition("its type, ")[2].partition(":")[0] for said in warnings(caplog)) == [
        "__main__.Parcel",
        "post.Letter",
    ]


def test_a_client_is_told_at_its_first_publish_and_by_drain(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder, shared=True)
    system.handler(RUN)(lambda _: None)
    with system, perdure.connect(folder) as client:
        client.publish(RUN(0))
        client.publish(OTHER(0))
        assert warnings(caplog) == []
        client.publish_many([IMPORTED(n) for n in range(2)])
        client.publish(IMPORTED(2))
        (warning,) = warnings(caplog)
        assert warning.startswith(
            "messages of type post.Parcel are handled by no process of this folder; there is a handler for __main__"
        )
        said = r"No handler is at work for post\.Parcel \(3\), post\.Letter \(1\); there is one for __main__\.Parcel"
        with pytest.raises(TimeoutError, match=said):
            client.drain(0.01)
        with pytest.raises(TimeoutError, match=said):
            asyncio.run(client.adrain(0.01))


def test_a_message_that_is_refused_is_not_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    undecorated: Any = perdure.message(name="post.Parcel")(type("Parcel", (), {}))
    system = perdure.System(folder, shared=True)
    system.handler(RUN)(lambda _: None)
    with system, perdure.connect(folder) as client:
        client.publish(OTHER(0))
        for publish in (client.publish, client.submit, lambda message: client.publish_many([message])):
            with pytest.raises(perdure.InvalidMessage, match=r"decorate it with @attrs\.frozen"):
                publish(undecorated())
        assert warnings(caplog) == []


def test_a_client_that_makes_a_type_for_each_request_is_warned_of_some_and_later_of_one_a_minute(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owner_facts, "NOTICED_MAX", 3)
    system = perdure.System(folder, shared=True)
    system.handler(RUN)(lambda _: None)
    with system, perdure.connect(folder) as client:
        for number in range(10):
            client.publish(named(f"post{number}.Parcel")(number))
        *told, last = warnings(caplog)
        assert len(told) == 3
        assert last == "that was said of 3 types, and is said of further ones once a minute at most"
        known, now_us = client._facts._noticed, client.clock.now_us()
        for minute in range(1, 5):
            caplog.clear()
            monkeypatch.setattr(client.clock, "now_us", lambda at_us=now_us + minute * owner_facts.AGAIN_US: at_us)
            for number in range(10):
                client.publish(named(f"minute{minute}_{number}.Parcel")(number))
            (warning,) = warnings(caplog)
            assert f"minute{minute}_0.Parcel" in warning
            assert len(known) == 3


def test_a_member_is_told_when_it_joins(folder: Path, start: Callable[[], Program], caplog: pytest.LogCaptureFixture) -> None:
    start()
    with perdure.connect(folder) as client:
        client.publish(IMPORTED(1))
    member = perdure.System(folder, shared=True, ownership="never")
    member.handler(RUN)(lambda _: None)
    with member:
        (warning,) = warnings(caplog)
        assert warning.startswith("1 message(s) of type post.Parcel wait")
        with pytest.raises(TimeoutError, match=r"No handler is at work for post\.Parcel \(1\); there is one for __main__\.Parcel"):
            member.drain(0.01)


def test_the_class_of_a_result_is_not_warned_of(folder: Path, until: Until, caplog: pytest.LogCaptureFixture) -> None:
    with perdure.System(folder, shared=True) as owner:
        owner.handler(RUN)(lambda _: None)
        member = perdure.System(folder, shared=True, ownership="never")
        member.handler(OTHER)(lambda letter: IMPORTED(letter.number))
        with member:
            until(lambda: "post.Letter" in owner.admin.handlers())
            assert owner.call(OTHER(4), timeout=PATIENCE_S) == {"number": 4}
            owner.handler(named("post.Third"))(lambda _: None)
            until(lambda: "post.Third" in member._handled)
            assert warnings(caplog) == []
            member.publish(IMPORTED(5))  # now it is a message
            owner.handler(named("post.Fourth"))(lambda _: None)
            until(lambda: warnings(caplog))
            (warning,) = warnings(caplog)
            assert warning.startswith("messages of type post.Parcel are handled by no process of this folder")


def test_a_handler_of_any_process_answers_calls(folder: Path, start: Callable[[], Program], until: Until) -> None:
    with perdure.System(folder, shared=True) as owner, perdure.connect(folder) as client:
        start()
        until(lambda: "shop.Quote" in owner.admin.handlers())
        assert owner.call(Quote(4), timeout=PATIENCE_S) == 8
        assert client.call(Quote(21), timeout=PATIENCE_S) == 42
        client.publish(Order(1))
        client.drain(PATIENCE_S)


SPAWNING = """
import multiprocessing, sys, attrs, perdure

@attrs.frozen
class Job:
    number: int

def publish(folder):
    with perdure.connect(folder) as client:
        client.publish(Job(1))
        assert client.call(Job(2), timeout=60) == 2
    system = perdure.System(folder, shared=True, ownership="never")
    system.every(3600.0)(tick)
    with system:
        handled = sorted(system.admin.handlers())
        assert len(handled) == 2 and all("__main__." in name for name in handled), handled

def tick(t):
    pass

if __name__ == "__main__":
    system = perdure.System(sys.argv[1], shared=True)
    system.handler(Job)(lambda job: job.number)
    with system:
        child = multiprocessing.get_context(sys.argv[2]).Process(target=publish, args=(sys.argv[1],))
        child.start()
        child.join(60)
        system.drain(60)
        print(child.exitcode, system.admin.metrics().completed)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_class_of_the_main_program_has_one_name_in_children_of_multiprocessing(folder: Path, tmp_path: Path, method: str) -> None:
    program = tmp_path / "spawning.py"
    program.write_text(SPAWNING)
    ran = subprocess.run(
        [sys.executable, str(program), str(folder), method], capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.stdout.split(), ran.stderr) == (["0", "2"], "")
