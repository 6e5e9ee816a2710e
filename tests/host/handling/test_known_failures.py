"""Known failures of other queues: a delayed message run twice, a publisher in doubt, a payload that stops the queue."""

from __future__ import annotations

import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until

HOUR_S = 3600.0


@attrs.frozen
class Job:
    number: int


class GatedStore(perdure.MemoryStore):
    """A disk whose syncs wait while the gate is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def sync(self) -> None:
        assert self.gate.wait(30.0)
        super().sync()


def test_delayed_message_runs_once_however_late_it_is(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Scenario 52: a message has no lease before its delivery, so none can expire; a restart while it waits adds none."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Job, parallelism=4, lease=30.0, retries=5)(lambda job: collected.add(job.number))
        return system

    with make() as system:
        ident = system.publish(Job(1), delay=10 * HOUR_S)
        for _ in range(9):
            clock.advance(HOUR_S)
            assert (system.admin.metrics().delayed, system.admin.metrics().in_flight) == (1, 0)
        assert not list(system.audit.events(type="Leased"))
    with make() as system:
        assert not list(system.audit.events(type="Leased"))
        clock.advance(100 * HOUR_S)  # far past its time and any lease
        assert collected.wait_for(1) == [1]
        until(lambda: system.admin.metrics().completed == 1)
        clock.advance(100 * HOUR_S)
        system.drain(timeout=10.0)
    with make() as system:
        clock.advance(HOUR_S)
        system.drain(timeout=10.0)
        names = [record.name for record in system.audit.timeline(ident)]
        assert names.count("Leased") == names.count("Completed") == 1
        assert "LeaseExpired" not in names
    assert collected.items == [1]


def test_publish_that_timed_out_says_so_and_the_same_id_settles_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 56: the answer is lost, not the message; published again under its id it counts once."""
    store = GatedStore()
    with perdure.System(store=store, options=perdure.Options(publish_timeout_s=0.05)) as system:
        store.gate.clear()
        with monkeypatch.context() as impatient:
            impatient.setattr("perdure.publishing.publisher.SLACK_S", 0.05)
            with pytest.raises(perdure.PublishTimeout, match=r"may or may not be published.*same id") as caught:
                system.publish(Job(1), id="job-1")
        assert caught.value.ids == ("job-1",)
        store.gate.set()
        assert system.publish(Job(1), id="job-1") == "job-1"
        assert system.admin.metrics().published == 1
        assert [record.message_id for record in system.audit.events(type="Published")] == ["job-1"]


def _local() -> object:
    @attrs.frozen
    class Hidden:
        number: int

    return Hidden(1)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (perdure.DuplicateKey, Job(2), {"key": "held", "dedup": "reject"}),
        (perdure.QueueFull, Job(2), {}),
        (perdure.PayloadTooLarge, "x" * 2_000, {}),
        (perdure.InvalidMessage, Job(2), {"priority": 10**9}),
        (perdure.UnknownMessageType, _local(), {}),
    ],
)
def test_publish_that_raised_has_published_nothing(
    folder: Path, error: type[Exception], message: Any, options: dict[str, Any]
) -> None:
    """Scenario 56: neither now nor after a restart."""
    bounds = perdure.Options(backlog_max=1 if error is perdure.QueueFull else 5, publish_timeout_s=0.0, payload_bytes_max=1_000)
    with perdure.System(folder, options=bounds) as system:
        kept = system.publish(Job(1), key="held", dedup="reject")
        with pytest.raises(error):
            system.publish(message, **options)
    with perdure.System(folder, options=bounds) as system:
        assert [record.message_id for record in system.audit.events(type="Published")] == [kept]
        assert system.admin.metrics().ready == 1


def test_messages_whose_type_is_gone_wait_and_can_be_rejected_by_its_name(folder: Path) -> None:
    """Scenario 54: the class is gone; the dead letters keep their bytes and the reason."""

    @perdure.message(name="shop.Gone")
    @attrs.frozen
    class Gone:
        number: int

    with perdure.System(folder) as system:
        ids = system.publish_many([Gone(1), Gone(2)])
    for restarted in (False, True):
        with perdure.System(folder) as system:
            if not restarted:
                assert system.admin.metrics().ready == 2
                while delivery := system.checkout("shop.Gone"):
                    assert delivery.message["number"] in {1, 2}
                    delivery.reject("the type is gone")
            letters = system.dead_letters.list(type="shop.Gone", reason="the type is gone")
            assert [(letter.id, letter.message) for letter in letters] == [(ids[1], {"number": 2}), (ids[0], {"number": 1})]


def test_pickled_object_whose_module_is_gone_is_a_dead_letter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 54: it has the reason and its signed bytes; later messages are handled."""
    codec = perdure.CloudPickle(key=b"sixteen bytes or more")
    module = types.ModuleType("perdure_test_gone")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    kind: Any = type("Thing", (), {"__module__": module.__name__})
    vars(module)["Thing"] = kind
    with perdure.System(folder, codec=codec) as system:
        system.publish(kind())
        system.publish("after it")
    monkeypatch.delitem(sys.modules, module.__name__)
    with perdure.System(folder, codec=codec) as system:
        assert system.checkout(kind) is None
        (letter,) = system.dead_letters.list()
        assert isinstance(letter.message, bytes)
        assert "No module named 'perdure_test_gone'" in letter.reason
        delivery = system.checkout(str)
        assert delivery is not None
        assert delivery.message == "after it"
