"""Classes of the front door are `perdure.X` in records, tracebacks, pickles and `repr`, whichever module defines them."""

import pickle
import subprocess
import sys
import traceback
import typing
from pathlib import Path
from typing import Any

import attrs
import cloudpickle
import msgspec
import pytest

import perdure
from perdure.actors.execution.pickling import kind_name, pack
from perdure.arguments.moments import WrongType
from perdure.events import errors
from perdure.events import vocabulary as ev
from perdure.events.public_names import with_public_names
from perdure.events.queue.dead_letters import DeadLettersState, evolve
from perdure.events.queue.searching.letter_search import Selection, select, stats

ERRORS = [name for name in perdure.__all__ if isinstance(kind := getattr(perdure, name), type) and issubclass(kind, BaseException)]


@attrs.frozen
class Job:
    name: str


@pytest.mark.parametrize("name", perdure.__all__)
def test_public_name_is_what_a_class_calls_itself(name: str) -> None:
    thing = getattr(perdure, name)
    assert f"{thing.__module__}.{thing.__qualname__}" == f"perdure.{name}"
    for packing in (pickle.dumps, cloudpickle.dumps, pack):
        assert pickle.loads(packing(thing)) is thing  # noqa: S301 - its own bytes


@pytest.mark.parametrize("name", ERRORS)
def test_exception_has_its_public_name_on_record_and_in_tracebacks(name: str) -> None:
    kind = getattr(perdure, name)
    assert kind_name(kind) == f"perdure.{name}"
    error = kind.__new__(kind, "what happened")
    error.args = ("what happened",)
    error.reason = error.delay = None  # what a handler's own two carry beside their text
    assert traceback.format_exception_only(error)[-1].startswith(f"perdure.{name}: ")


def test_every_error_is_public() -> None:
    kinds = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert kinds <= set(ERRORS)


def test_pickle_of_a_public_class_is_read_in_a_process_that_has_used_no_name_yet() -> None:
    packed = pickle.dumps([perdure.Retry(1.5, "later"), perdure.LeaseLost("gone")])
    code = f"import pickle; print(pickle.loads({packed!r}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[Retry('later'), LeaseLost('gone')]"


def test_error_inside_perdure_is_recorded_as_its_public_base() -> None:
    assert kind_name(WrongType) == "perdure.InvalidMessage"
    assert kind_name(Job) == f"{__name__}.Job"


@pytest.mark.parametrize("name", ["DeadLetter", "HandlerInfo", "Metrics", "Options", "Recovery", "Tick", "Totals"])
def test_annotations_can_be_evaluated_outside_the_defining_module(name: str) -> None:
    hints = typing.get_type_hints(getattr(perdure, name))
    assert not any(isinstance(hint, str) for hint in hints.values())


def test_tick_travels_as_a_message() -> None:
    tick = perdure.Tick("s", perdure.Tick.__annotations__["due"](2030, 1, 1))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tick), type=perdure.Tick) == tick


def _rejects(_job: Job) -> None:
    raise perdure.Reject("no such thing")


def _loses(_job: Job) -> None:
    raise perdure.LeaseLost("gone")


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_dead_letter_names_the_public_class(folder: Path, isolation: Any) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation=isolation)(_rejects)
    with system:
        system.publish(Job("a"))
        system.drain(timeout=60.0)
        (letter,) = system.dead_letters.list(reason="perdure.Reject")
    assert letter.exception == letter.failures[0].exception == "perdure.Reject"
    assert "\nperdure.Reject: no such thing" in letter.traceback


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("policy", ["retry_on", "dead_letter_on"])
def test_policy_finds_a_public_error(folder: Path, isolation: Any, policy: str) -> None:
    system = perdure.System(folder)
    options: dict[str, Any] = {policy: perdure.LeaseLost}
    system.handler(Job, isolation=isolation, retries=1, backoff=perdure.Fixed(0.0), **options)(_loses)
    with system:
        system.publish(Job("a"))
        system.drain(timeout=60.0)
        (letter,) = system.dead_letters.list()
    assert letter.attempts == (2 if policy == "retry_on" else 1)
    assert letter.reason.startswith("failed 2 times: perdure.LeaseLost" if policy == "retry_on" else "perdure.LeaseLost is one of")


@pytest.mark.parametrize(
    ("recorded", "today"),
    [
        ("perdure.actors.context.Reject", "perdure.Reject"),
        ("failed 3 times: perdure.events.errors.LeaseLost: gone", "failed 3 times: perdure.LeaseLost: gone"),
        ("perdure.Cancelled", "perdure.Cancelled"),
        ("perdure.shop.Unpaid", "perdure.shop.Unpaid"),
        ("myperdure.events.errors.LeaseLost", "myperdure.events.errors.LeaseLost"),
        ("builtins", "builtins"),
    ],
)
def test_recorded_name_of_an_older_version_is_read_as_todays(recorded: str, today: str) -> None:
    assert with_public_names(recorded) == today


@pytest.fixture
def old_and_new() -> DeadLettersState:
    """Two dead letters of one kind: recorded before classes had public names, and after."""
    state = DeadLettersState()
    for number, name in enumerate(("perdure.events.errors.LeaseLost", "perdure.LeaseLost"), 1):
        published = ev.Published(number, f"id-{number}", "Job", b"")
        evolve(state, ev.DeadLettered(number, published, f"failed 1 times: {name}", 1, name, "gone", "", []), number)
    return state


@pytest.mark.parametrize("reason", ["perdure.LeaseLost", "perdure.leaselost", "failed 1 times: perdure.LeaseLost"])
def test_search_by_public_name_finds_what_older_versions_recorded(old_and_new: DeadLettersState, reason: str) -> None:
    assert len(select(old_and_new, Selection(reason=reason))) == 2


def test_search_by_an_old_name_finds_what_it_found_before(old_and_new: DeadLettersState) -> None:
    assert [letter.failed_us for letter in select(old_and_new, Selection(reason="events.errors.LeaseLost"))] == [1]


def test_reasons_are_counted_by_public_name(old_and_new: DeadLettersState) -> None:
    assert stats(old_and_new).by_reason == {"failed 1 times: perdure.LeaseLost": 2}


def test_handler_that_raises_cancelled_itself_was_not_cancelled(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    def fails(_job: Job) -> None:
        raise perdure.Cancelled("message X was cancelled", "X")

    with system:
        message_id = system.publish(Job("a"), keep_result=60.0)
        system.drain(timeout=10.0)
    with perdure.System(folder) as again, pytest.raises(perdure.HandlerFailed) as failed:
        again.result(message_id, timeout=5.0)
    assert type(failed.value) is perdure.HandlerFailed
    assert failed.value.exception == "perdure.Cancelled"


@pytest.mark.parametrize("package", ["console", "security", "telemetry"])
def test_a_package_of_the_front_door_is_there_without_an_import_of_its_own(package: str) -> None:
    code = f"import perdure; assert perdure.{package}.__name__ == 'perdure.{package}'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
