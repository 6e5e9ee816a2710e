"""What a process handler may be, raise and be told: from the host's main script, with a policy, and when it is cancelled.

Crashes, timeouts and memory limits of processes are in `test_child_processes`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    import svcs

    from tests.host.conftest import Until


@attrs.frozen
class Job:
    number: int


SCRIPT = """
    import dataclasses
    import sys
    import attrs, msgspec, perdure, pydantic

    @attrs.frozen
    class Attrs:
        number: int

    @dataclasses.dataclass
    class Data:
        number: int

    class Struct(msgspec.Struct):
        number: int

    class Model(pydantic.BaseModel):
        number: int

    system = perdure.System(sys.argv[1])

    for kind in (Attrs, Data, Struct, Model):
        @system.handler(kind, isolation="process", retries=0)
        def double(message):
            return type(message)(number=message.number * 2)

    with system:
        for kind in (Attrs, Data, Model):
            for number in (1, 2):                    # the second is decoded by what msgspec noted at the first
                print(kind.__name__, system.call(kind(number=number), timeout=60.0).number)
        try:
            system.call(Struct(1), timeout=60.0)
        except TypeError as error:
            print(error)
"""


def test_messages_and_handlers_of_the_main_script_travel(tmp_path: Path) -> None:
    """Classes that no module of the child has, there and back; a msgspec struct cannot, and is told so."""
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "data")], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    *told, refused = done.stdout.splitlines()
    assert told == ["Attrs 2", "Attrs 4", "Data 2", "Data 4", "Model 2", "Model 4"]
    assert refused == "the struct Struct cannot travel to another process from __main__: move it into a module"


def _ask_for_policy(job: Job, ctx: perdure.Context) -> int:
    if job.number < 0:
        raise perdure.Reject(f"no job {job.number}")
    if ctx.attempt == 1:
        raise perdure.Retry(delay=job.number, reason="not yet")
    return ctx.attempt


def test_retry_and_reject_come_back_from_a_process(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    """Scenario 20, processes: `Retry` waits its own delay whatever the backoff says; `Reject` is a dead letter at once."""
    system = perdure.System(folder, clock=clock)
    system.handler(Job, isolation="process", retries=3, backoff=1000.0)(_ask_for_policy)
    with system:
        rejected = system.publish(Job(-1))
        until(lambda: system.admin.metrics().dead_letters == 1)
        assert system.dead_letters.get(rejected).reason == "no job -1"
        ident = system.publish(Job(5), keep_result=60.0)
        until(lambda: system.admin.metrics().delayed == 1)
        clock.advance(4.9)
        assert system.admin.metrics().delayed == 1
        clock.advance(0.1)
        assert system.result(ident, timeout=30.0) == 2


class Plain:
    """A handler class without services, of which each message gets a new instance."""

    def handle(self, job: Job) -> int:
        return os.getpid()


def _alone(job: Job) -> int:
    return os.getpid()


@pytest.mark.parametrize("handler", [_alone, Plain])
def test_process_handler_without_services_beside_a_registry(folder: Path, registry: svcs.Registry, handler: Any) -> None:
    """A registry is for handlers that ask for services; one that does not can run in a process."""
    system = perdure.System(folder, registry=registry)
    system.handler(Job, isolation="process")(handler)
    with system:
        assert system.call(Job(1), timeout=60.0) != os.getpid()


def test_service_in_a_process_is_refused(folder: Path, registry: svcs.Registry) -> None:
    registry.register_value(int, 1)
    system = perdure.System(folder, registry=registry)

    def needy(job: Job, ctx: perdure.Context, number: int) -> None: ...

    with pytest.raises(perdure.InvalidMessage, match="isolation"):
        system.handler(Job, isolation="process")(needy)


class Foreign:
    """What can be packed anywhere, and read again only where it was packed."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made by a function that looks where it runs."""
        return _only_in, (os.getpid(),)


def _only_in(pid: int) -> str:
    if os.getpid() != pid:
        message = "cannot be read here"
        raise ValueError(message)
    return "read"


def _tells_foreign(job: Job, ctx: Any) -> int:
    if job.number == 0:
        ctx.heartbeat(50, Foreign())
    return job.number


def test_what_the_parent_cannot_read_fails_only_its_message(folder: Path) -> None:
    """A child that waits for an answer which never comes is not asked again: it would take the next message for that answer."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_tells_foreign)
    with system:
        with pytest.raises(ValueError, match="cannot be read here"):
            system.call(Job(0), timeout=60.0)
        assert [system.call(Job(number), timeout=60.0) for number in (1, 2)] == [1, 2]


def _until_cancelled(job: Job, ctx: perdure.Context) -> None:
    ctx.heartbeat(1, str(os.getpid()))
    while job.number or not ctx.cancelled:  # job 1 looks away
        time.sleep(0.005)
    ctx.headers["seen"]  # never there: what it does now counts for nothing


@pytest.mark.parametrize("looks_away", [False, True])
def test_cancelled_process_handler_is_told_and_then_killed(folder: Path, until: Until, looks_away: bool) -> None:
    """A token first: a handler that looks at it ends by itself, and its child goes on; one that does not is killed."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", lease=60.0)(_until_cancelled)
    with system:
        ident = system.publish(Job(int(looks_away)))
        until(lambda: ident in system.admin.metrics().progress)
        pid = int(system.admin.metrics().progress[ident][1])
        assert system.cancel(ident)
        until(lambda: not system.admin.handlers()[f"{__name__}.Job"].active and _is_free(system))
        after = system.publish(Job(0))
        until(lambda: after in system.admin.metrics().progress)
        assert (int(system.admin.metrics().progress[after][1]) != pid) is looks_away
        assert system.cancel(after)
        system.drain(timeout=60.0)
        assert [r.name for r in system.audit.timeline(ident)][-2:] == ["Cancelled", "LateResultRefused"]
        assert system.admin.metrics().cancelled == 2


def _is_free(system: perdure.System) -> bool:
    return system.admin.metrics().late_results > 0
