"""What travels between a process handler and its parent: the handler, exceptions, results, log records, the import path.

What stays in the child, and how it ends, is in `test_process_handlers` and `test_child_processes`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any, Self

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

LOCK = threading.Lock()
logger = logging.getLogger("shop.orders")


@attrs.frozen
class Job:
    """A message."""

    number: int = 0


class Strange(Exception):
    """Cannot be read back: its `__init__` takes other arguments than it passes on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Stranger(Strange):
    """Of that kind, and with something that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__(7, "stranger")
        self.lock = threading.Lock()


class OnlyThere(Exception):
    """Cannot be read anywhere but in the process that made it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_in, (os.getpid(),)


def _only_in(pid: int) -> OnlyThere:
    if os.getpid() != pid:
        raise ValueError("not here")
    return OnlyThere()


class NeverThere(Exception):
    """Can be pickled nowhere."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("no")

    def __new__(cls, *args: Any) -> Self:
        if args == ("made",):
            return super().__new__(cls, *args)
        raise RuntimeError("not to be made again")


def _raise_strange(job: Job) -> None:
    raise Strange(5, "odd")


def _raise_stranger(job: Job) -> None:
    raise Stranger


def _raise_only_there(job: Job) -> None:
    raise OnlyThere("there")


def _raise_never_there(job: Job) -> None:
    error = NeverThere("made")
    error.args = ("other",)
    raise error


RAISING: list[tuple[Any, type[Exception]]] = [
    (_raise_strange, Strange),
    (_raise_stranger, Stranger),
    (_raise_stranger, Strange),
    (_raise_only_there, OnlyThere),
    (_raise_never_there, NeverThere),
]


@pytest.mark.parametrize(("handler", "kind"), RAISING)
def test_exceptions_keep_their_class_for_the_policy(folder: Path, handler: Any, kind: type[Exception]) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=2, backoff=0, retry_on=kind)(handler)

    with system:
        ident = system.publish(Job())
        system.drain(timeout=60.0)
        letter = system.dead_letters.get(ident)
        assert letter.attempts == 3  # it was tried again
        raised = next(k for h, k in RAISING if h is handler)
        assert letter.exception == f"{__name__}.{raised.__qualname__}"
        assert "In the handler's process" in letter.traceback
        assert handler.__name__ in letter.traceback


@pytest.mark.parametrize("handler", [_raise_strange, _raise_only_there])
def test_exceptions_keep_their_class_as_final_ones(folder: Path, handler: Any) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=2, backoff=0, dead_letter_on=(Strange, OnlyThere))(handler)
    with system:
        ident = system.publish(Job())
        system.drain(timeout=60.0)
        letter = system.dead_letters.get(ident)
        assert letter.attempts == 1
        assert "is one of dead_letter_on" in letter.reason


def test_caller_gets_the_exception_itself_where_it_can_be_made_again(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_raise_strange)
    with system, pytest.raises(Strange, match="5: odd") as caught:
        system.call(Job(), timeout=60.0)
    assert caught.value.code == 5


def _return_lock(job: Job) -> Any:
    return LOCK if job.number == 0 else "whole"


def test_result_that_cannot_travel_fails_its_attempt_clearly(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_return_lock)
    with system:
        with pytest.raises(TypeError, match="returned a lock, which cannot be pickled"):
            system.call(Job(0), timeout=60.0)
        assert system.call(Job(1), timeout=60.0) == "whole"


def test_handler_that_cannot_be_pickled_is_refused_by_name(folder: Path) -> None:
    lock = threading.Lock()

    def locked(job: Job) -> None:
        with lock:
            pass

    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match=r"locked cannot be pickled"):
        system.handler(Job, isolation="process")(locked)
    system.handler(Job)(locked)  # the type is still free


def test_handler_that_cannot_be_pickled_at_the_start_is_refused_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is registered by a decorator is not in its module yet, so that it cannot be told from one that can travel."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_return_lock)
    spec = next(iter(system._registered.specs.values()))
    monkeypatch.setitem(system._registered.specs, spec.type, attrs.evolve(spec, function=lambda job, ctx: LOCK.locked() or folder))
    monkeypatch.setattr(sys.modules[__name__], "__name__", "__main__")
    with pytest.raises(perdure.InvalidMessage, match="cannot be pickled"):
        system.start()
    monkeypatch.undo()
    with system:  # its lock was never taken
        pass


def test_handler_that_its_process_cannot_load_fails_only_its_messages(folder: Path, tmp_path: Path) -> None:
    """Each attempt says so; what comes back for one message is never taken for another's."""
    module = tmp_path / "gone_tomorrow.py"
    module.write_text("def handle(job): return 1\n")
    sys.path.insert(0, str(tmp_path))
    try:
        import gone_tomorrow  # type: ignore[import-not-found]  # written by this test

        system = perdure.System(folder)
        system.handler(Job, isolation="process", retries=0)(gone_tomorrow.handle)
        module.unlink()
        with system:
            for number in range(2):
                with pytest.raises(ModuleNotFoundError, match="gone_tomorrow"):
                    system.call(Job(number), timeout=60.0)
            assert system.running
            assert system.admin.metrics().runtime_counters == {}
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("gone_tomorrow", None)


def _log(job: Job) -> None:
    logger.debug("not asked for")
    logger.info("handling %d", job.number, extra={"order": job.number, "lock": LOCK})
    try:
        os.environ["MISSING"]
    except LookupError:
        logger.exception("failed\nwith two lines")


def test_log_records_come_to_the_parents_loggers(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop")
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_log)
    with system:
        system.call(Job(1), timeout=60.0)
        system.call(Job(2), timeout=60.0)
    told = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "shop.orders"]
    assert told == [
        ("INFO", "handling 1"),
        ("ERROR", "failed\nwith two lines"),
        ("INFO", "handling 2"),
        ("ERROR", "failed\nwith two lines"),
    ]
    first, second = [r for r in caplog.records if r.name == "shop.orders"][:2]
    assert first.__dict__["order"] == 1
    assert first.process != os.getpid()
    assert second.exc_text is not None
    assert "KeyError: 'MISSING'" in second.exc_text


def test_level_of_the_parent_holds_in_the_child(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "shop")
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_log)
    with system:
        system.call(Job(1), timeout=60.0)
    assert [r.levelname for r in caplog.records if r.name == "shop.orders"] == ["ERROR"]


def _log_from_a_thread(job: Job) -> None:
    def storm() -> None:
        for i in range(1_500):
            logger.warning("line %d", i)

    threads = [threading.Thread(target=storm) for _ in range(2)]
    for thread in threads:
        thread.start()
    if job.number == 0:
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.long(seconds=3)
def test_storm_of_log_records_from_threads_does_no_harm(folder: Path, caplog: pytest.LogCaptureFixture, number: int) -> None:
    """Those within the call all arrive; those that come between two calls wait, up to a bound."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_log_from_a_thread)
    with system:
        system.call(Job(number), timeout=60.0)
        if number == 0:
            assert sum(r.name == "shop.orders" for r in caplog.records) == 3_000
        system.call(Job(0), timeout=60.0)


def test_nothing_that_lies_in_the_working_directory_is_run(tmp_path: Path) -> None:
    """The path is the parent's; where that looks into the working directory, the child does so last."""
    stray, scripts = tmp_path / "stray", tmp_path / "scripts"
    stray.mkdir()
    scripts.mkdir()
    for name in ("ctypes", "resource", "pickle", "attrs"):
        (stray / f"{name}.py").write_text("raise SystemExit('a stray module was run')\n")
    script = scripts / "work.py"
    script.write_text(
        textwrap.dedent(
            """
            import ctypes, os, pickle, resource, sys
            import perdure, attrs

            @attrs.frozen
            class Job:
                number: int

            def look(job):
                return [sys.path, dict(os.environ)]

            if __name__ == "__main__":
                if sys.argv[2] == "interactive":
                    sys.path.insert(0, "")
                system = perdure.System(sys.argv[1])
                system.handler(Job, isolation="process", retries=0)(look)
                with system:
                    path, environment = system.call(Job(1), timeout=60.0)
                assert path[0] != os.getcwd(), path
                assert environment == dict(os.environ)
                if sys.argv[2] == "interactive":
                    assert path == [*sys.path[1:], os.getcwd()], path
                else:
                    assert path == sys.path, path
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    for how in ("script", "interactive"):
        command = [sys.executable, str(script), str(tmp_path / how), how]
        done = subprocess.run(command, cwd=stray, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
