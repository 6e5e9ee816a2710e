"""Errors name what is wrong: the header, the result, the handler, the file, the module that ends the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Commands


@attrs.frozen
class Job:
    """A message."""

    number: int


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ok": "x", "a": 1}, "'a': 1"),
        ({2: "b"}, "2: 'b'"),
        ({"a": None}, "'a': None"),
        ({"a": b"x"}, "'a': b'x'"),
        ({str(n): "" for n in range(65)}, "at most 64 pairs, not 65"),
    ],
)
def test_error_of_wrong_headers_names_the_pair(headers: Any, expected: str) -> None:
    with SimulatedSystem() as system, pytest.raises(perdure.InvalidMessage, match=rf"^headers: .*{expected}"):
        system.publish(Job(1), headers=headers)


@pytest.mark.parametrize("call", ["publish", "submit", "publish_many", "every"])
def test_error_of_a_misspelt_publish_option_lists_those_there_are(call: str) -> None:
    wrong: Any = {"prioritty": 1}
    with SimulatedSystem() as system:
        calls: dict[str, Callable[[], object]] = {
            "publish": lambda: system.publish(Job(1), **wrong),
            "submit": lambda: system.submit(Job(1), **wrong),
            "publish_many": lambda: system.publish_many([Job(1)], **wrong),
            "every": lambda: system.every(60.0, message=Job(1), **wrong),
        }
        with pytest.raises(TypeError, match=r"no option 'prioritty', did you mean 'priority'\? There are: at, .*, ttl") as caught:
            calls[call]()
        assert str(caught.value).startswith("publish: ")


@pytest.mark.parametrize("call", ["handler", "batch_handler", "every", "configure"])
def test_error_of_a_misspelt_handler_option_lists_those_there_are(call: str) -> None:
    wrong: Any = {"retrys": 1}
    system = SimulatedSystem()
    calls: dict[str, Any] = {
        "handler": lambda: system.handler(Job, **wrong),
        "batch_handler": lambda: system.batch_handler(Job, **wrong),
        "every": lambda: system.every(60.0, **wrong)(lambda tick: None),
        "configure": lambda: system.admin.configure("Job", **wrong),
    }
    with pytest.raises((TypeError, ValueError), match=rf"^{call}: there is no option 'retrys', did you mean 'retries'"):
        calls[call]()


@pytest.mark.parametrize(
    ("call", "wrong", "meant"),
    [
        ("batch_handler", "sise", "size"),
        ("every", "misssed", "missed"),
        ("every", "prioritty", "priority"),
        ("System", "shard", "shared"),
        ("Options", "segmentbytes", "segment_bytes"),
        ("connect", "timout", "timeout"),
        ("Cluster", "partition", "partitions"),
        ("PostgresStore", "leese", "lease"),
        ("publish", "timout", "timeout"),
        ("publish", "idss", "ids"),
    ],
)
def test_error_of_any_misspelt_option_names_the_likeliest_meant(call: str, wrong: str, meant: str, folder: Path) -> None:
    options: dict[str, Any] = {wrong: 1}
    system = SimulatedSystem()
    calls: dict[str, Any] = {
        "batch_handler": lambda: perdure.Handlers().batch_handler(Job, **options),
        "every": lambda: perdure.Handlers().every(60.0, **options)(lambda tick: None),
        "System": lambda: perdure.System(folder, **options),
        "Options": lambda: perdure.Options(**options),
        "connect": lambda: perdure.connect(folder, **options),
        "Cluster": lambda: perdure.Cluster("postgresql://nowhere", **options),
        "PostgresStore": lambda: perdure.PostgresStore("postgresql://nowhere", **options),
        "publish": lambda: system.publish(Job(1), **options),
    }
    text = rf"^{call}: there is no option '{wrong}', did you mean '{meant}'( of \w+)?\? There are: "
    with system, pytest.raises(TypeError, match=text) as told:
        calls[call]()
    assert ", " in str(told.value).partition("There are: ")[2]


@pytest.mark.parametrize("codec", [perdure.MessagePack(), perdure.CloudPickle(key=b"k" * 32)])
def test_error_of_a_result_that_cannot_be_encoded_says_result(codec: Any) -> None:
    system = SimulatedSystem(codec=codec)

    class Unsaid:
        """What no codec takes."""

        def __reduce__(self) -> Any:
            raise TypeError("not this one")

    @system.handler(Job, retries=0)
    def answer(job: Job) -> Any:
        return Unsaid()

    with system:
        system.publish(Job(1), keep_result=60.0)
        system.advance(1.0)
        (letter,) = system.dead_letters.list()
    assert letter.error.startswith("result: ")
    assert "message:" not in letter.error
    assert "Unsaid" in letter.error


def test_a_class_whose_handle_is_not_a_method_is_refused() -> None:
    class Handler:
        handle = 3

    with pytest.raises(perdure.InvalidMessage, match=r"`handle` of the class .*Handler is 3; make it a method"):
        SimulatedSystem().handler(Job)(Handler)  # type: ignore[call-overload]  # no handler


def test_error_of_an_async_process_handler_says_what_to_write() -> None:
    async def handle(job: Job) -> None: ...

    with pytest.raises(perdure.InvalidMessage, match=r"handle is a coroutine function.*asyncio\.run"):
        SimulatedSystem().handler(Job, isolation="process")(handle)


@pytest.mark.parametrize("args", [("stats", "data"), ("config",), ("run", "shop:system")])
def test_missing_configuration_file_is_named(tmp_path: Path, command: Commands, args: tuple[str, ...]) -> None:
    done = command("--config", "NOFILE", *args, cwd=tmp_path, env={"PATH": ""})
    assert done.returncode == 2
    assert "Errno" not in done.stderr
    assert "the configuration file NOFILE does not exist" in done.stderr


def test_variable_that_names_a_missing_file(tmp_path: Path, command: Commands) -> None:
    done = command("config", cwd=tmp_path, env={"PATH": "", "PERDURE_CONFIG": "NOFILE"})
    assert done.returncode == 1
    assert "Errno" not in done.stderr
    assert "NOFILE cannot be read: No such file or directory" in done.stderr
    assert "PERDURE_CONFIG" in done.stderr


@pytest.mark.parametrize(
    ("how", "expected"), [("sys.exit(3)", "sys.exit(3)"), ("sys.exit()", "sys.exit(None)"), ("exit('no')", "'no'")]
)
def test_module_that_ends_the_program_is_named(tmp_path: Path, command: Commands, how: str, expected: str) -> None:
    (tmp_path / "shop.py").write_text(f"import sys\n\n{how}\n")
    done = command("run", "shop:system", cwd=tmp_path, env={"PATH": ""})
    assert done.returncode == 1
    assert "'shop' ended the program while it was imported" in done.stderr
    assert expected in done.stderr
    assert "shop.py, line 3" in done.stderr


def test_timeline_reports_progress() -> None:
    with SimulatedSystem() as system:
        ids = system.publish_many([Job(n) for n in range(5_000)])
        seen: list[int] = []
        assert len(system.audit.timeline(ids[-1], progress=seen.append)) == 1
    assert seen == [0, 4_096]


def test_ids_of_the_host_that_are_forgotten_are_counted() -> None:
    with SimulatedSystem(options=perdure.Options(finished_max=8)) as system:
        for n in range(30):
            system.publish(Job(n), id=f"host-{n}")
            delivery = system.checkout(Job)
            assert delivery is not None
            delivery.ack()
        metrics = system.admin.metrics()
        assert metrics.ids_forgotten > 0
        assert metrics.ids_remembered + metrics.ids_forgotten == 30


@pytest.mark.parametrize("decorator", ["handler", "batch_handler", "every"])
@pytest.mark.parametrize("kind", ["system", "handlers"])
def test_a_decorator_without_its_argument_says_how_to_write_it(decorator: str, kind: str) -> None:
    """`@system.every` alone made the function a decorator, in silence."""
    declaring: Any = SimulatedSystem() if kind == "system" else perdure.Handlers()
    with pytest.raises(perdure.InvalidMessage, match=r"write `@system\.\w+\(\w+\)` above the function"):
        getattr(declaring, decorator)(lambda message: None)


@pytest.mark.parametrize("when", [0, -1, float("nan"), "61 * * * *", None])
def test_when_a_schedule_ticks_is_checked_where_it_is_written(when: Any) -> None:
    for declaring in (SimulatedSystem(), perdure.Handlers()):
        with pytest.raises(perdure.InvalidMessage, match="every"):
            declaring.every(when, name="ticks")


def test_a_class_instead_of_its_object_and_the_other_way_round() -> None:
    wrong: Any = Job
    with SimulatedSystem() as system:
        with pytest.raises(perdure.InvalidMessage, match=r"`publish\(Order\(\.\.\.\)\)`"):
            system.publish(wrong)
        with pytest.raises(perdure.InvalidMessage, match=r"`publish\(Order\(\.\.\.\)\)`"):
            system.publish_many([Job(1), wrong])
        assert system.admin.metrics().published == 0
        wrong = Job(1)
        with pytest.raises(perdure.UnknownMessageType, match="an object of Job: give the class"):
            system.checkout(wrong)
        with pytest.raises(perdure.UnknownMessageType, match="an object of Job: give the class"):
            system.handler(wrong)


def test_a_start_without_a_database_does_not_say_that_it_is_tried_again() -> None:
    system = perdure.System(store=perdure.PostgresStore("postgresql://nobody@127.0.0.1:1/nothing", name="orders"))
    with pytest.raises(perdure.StoreUnavailable, match=r"connections\? Nothing was published\. A system that runs tries again"):
        system.start()
    assert not system.running
