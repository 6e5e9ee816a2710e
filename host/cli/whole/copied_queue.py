"""Commands that write a log elsewhere, run for all logs of a queue: log after log.

Which log goes where is in `perdure.operations.queue_logs`. Not here: what a command does with one log.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

import typer

from perdure.cli.whole.each_partition import of_number
from perdure.operations import queue_logs
from perdure.store import checked_address

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

    return cast("F", run)  # it has the same signature


def copied_logs(source: str, target: str) -> dict[int, tuple[str, str]]:
    """Return what `perdure.operations.queue_logs.copied_logs` returns, for addresses from a command line.

    Raises:
        StoreUnavailable: as there; or an address holds a password.
    """
    return queue_logs.copied_logs(checked_address(source), checked_address(target))
