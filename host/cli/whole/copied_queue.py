"""Commands that write a log elsewhere, for all logs of a queue at once: which log goes where.

A queue of several partitions is `postgresql://…#QUEUE`, or a folder with a log for each in a folder named by its number, which is
how `perdure backup` and these commands write it. Not here: what a command does with one log.
"""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from perdure.cli.whole.each_partition import of_number
from perdure.cluster.routing import ROUTING
from perdure.events.errors import StoreUnavailable
from perdure.store import checked_address, found_queue, is_postgres, partition_addresses

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["copied_logs", "each_copied"]

F = TypeVar("F", bound="Callable[..., None]")


def each_copied(command: F) -> F:
    """Return a command that copies the log of its first argument to its second one for queues too: log after log.

    It ends with the worst exit status.
    """
    first, second = [*inspect.signature(command).parameters][:2]

    @functools.wraps(command)
    def run(**options: Any) -> None:
        logs = copied_logs(str(options[first]), str(options[second]))
        if not logs:
            command(**options)
            return
        status = 0
        for number, (source, target) in logs.items():
            with of_number(number, is_shown=not options.get("as_json")):
                try:
                    command(**{**options, first: source, second: target})
                except typer.Exit as ended:
                    status = max(status, ended.exit_code)
        if status:
            raise typer.Exit(status)

    return run  # type: ignore[return-value] # it has the same signature


def copied_logs(source: str, target: str) -> dict[int, tuple[str, str]]:
    """Return where each log of a queue is and where it goes, by its number; empty where `source` is one log.

    In a database the queue is put on record with as many partitions, so that no host begins it with another number.

    Raises:
        StoreUnavailable: the target is the place of one log, or of a queue with another number of partitions; or logs are missing.
    """
    logs = partition_addresses(checked_address(source)) if is_postgres(source) else _in_folder(Path(source))
    if not logs:
        return {}
    if not is_postgres(checked_address(target)):
        Path(target).mkdir(parents=True, exist_ok=True)
        return {number: (log, str(Path(target) / str(number))) for number, log in logs.items()}
    return {
        number: (log, place) for (number, log), place in zip(logs.items(), found_queue(target, len(logs), ROUTING), strict=True)
    }


def _in_folder(folder: Path) -> dict[int, str]:
    try:
        inside = [*folder.iterdir()]
    except OSError:  # the command says what is amiss with it
        return {}
    numbers = sorted(int(one.name) for one in inside if one.name.isdecimal() and one.is_dir())
    if not numbers or any(one.is_file() for one in inside):
        return {}
    missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
    if missing:
        raise StoreUnavailable(
            f"{folder} has logs of partitions up to {numbers[-1]}, and none of {missing[0]}. Copy that one again."
        )
    return {number: str(folder / str(number)) for number in numbers}
