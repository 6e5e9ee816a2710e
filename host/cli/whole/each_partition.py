"""A command that looks, run for each partition of a queue in turn, with the number of the partition above what it prints."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from perdure.cli.json_output import PARTITION
from perdure.cli.terminal import Terminal
from perdure.events.errors import PerdureError, UnknownMessage
from perdure.store import checked_address, partition_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["each_partition"]

F = TypeVar("F", bound="Callable[..., None]")

console = Terminal()

OF_ONE_LOG = {"follow": "-f follows one log", "head": "a head is of one log"}
"""Options that a whole queue cannot have, and why."""


def each_partition(command: F) -> F:
    """Return a command that takes the address of a queue too: it runs for each partition, and ends with the worst exit status.

    A command about one message is run until a partition has the message.
    """

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        addresses = partition_addresses(checked_address(str(options.get("folder", args[0] if args else ""))))
        if not addresses:
            command(*args, **options)
            return
        for name, why in OF_ONE_LOG.items():
            if options.get(name):
                raise PerdureError(f"{why}: write the number of a partition behind the queue, as in #QUEUE/0")
        options = {name: value for name, value in options.items() if name != "folder"}
        if options.get("message_id"):
            _until_known(command, addresses, args[1:], options)
            return
        status = 0
        for number, address in addresses.items():
            with _of(number, is_shown=not options.get("as_json")):
                try:
                    command(address, *args[1:], **options)
                except typer.Exit as ended:
                    status = max(status, ended.exit_code)
        if status:
            raise typer.Exit(status)

    return run  # type: ignore[return-value] # it has the same signature


def _until_known(command: Callable[..., None], addresses: dict[int, str], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    unknown: UnknownMessage | None = None
    for number, address in addresses.items():
        with _of(number, is_shown=False):
            try:
                command(address, *args, **options)
            except UnknownMessage as error:
                unknown = error
            else:
                return
    raise unknown or UnknownMessage(f"message {options['message_id']!r} is in no partition")


@contextmanager
def _of(number: int, *, is_shown: bool) -> Iterator[None]:
    if is_shown:
        console.print(f"partition {number}", style="bold")
    token = PARTITION.set(number)
    try:
        yield
    finally:
        PARTITION.reset(token)
