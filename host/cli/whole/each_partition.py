"""A command that looks, run for each partition of a queue in turn, with the number of the partition above what it prints.

The command decides what each of them gets of its own, a file to write for example.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import typer

from perdure.cli.json_output import at_partition
from perdure.cli.terminal import Terminal
from perdure.events.errors import PerdureError, UnknownMessage
from perdure.store import checked_address, partition_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

__all__ = ["each_partition", "each_partition_with", "of_number", "of_partition", "together"]

F = TypeVar("F", bound="Callable[..., None]")

console = Terminal()

Own: TypeAlias = "Mapping[str, Callable[[Any, int, int], Any]]"


def each_partition(command: F) -> F:
    """Return a command that takes the address of a queue too: it runs for each partition, and ends with the worst exit status.

    A command about one message is run until a partition has the message. One that follows (`follow`) gets the queue itself.
    """
    return _spread(command, {})


def each_partition_with(own: Own) -> Callable[[F], F]:
    """Return `each_partition` for a command of which each partition gets something of its own, such as a file to write.

    `own` has, by the name of an option or an argument, a function that returns what a partition gets for it: of what was given, the
    partition's number and how many there are.
    """
    return lambda command: _spread(command, own)


def _spread(command: F, own: Own) -> F:
    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        addresses = partition_addresses(checked_address(str(options.get("folder", args[0] if args else ""))))
        if not addresses or options.get("follow"):
            command(*args, **options)
            return
        options = {name: value for name, value in options.items() if name != "folder"}
        if options.get("message_id"):
            _until_known(command, addresses, args[1:], options)
            return
        status = 0
        for number, address in addresses.items():
            given = {name: make(options[name], number, len(addresses)) for name, make in own.items() if options.get(name)}
            with of_number(number, is_shown=not options.get("as_json")):
                try:
                    command(address, *args[1:], **{**options, **given})
                except typer.Exit as ended:
                    status = max(status, ended.exit_code)
        if status:
            raise typer.Exit(status)

    return cast("F", run)  # it has the same signature


def together(shown: Callable[..., None]) -> Callable[[F], F]:
    """Return a decorator for a command whose answers a person wants together, over all partitions of a queue.

    `shown` is called instead of it where its address names a queue and none of its partitions: with the addresses of these by their
    numbers, and the command's other arguments by name. With `--json`, and with `--follow`, it is as `each_partition`.
    """

    def of_command(command: F) -> F:
        each = _spread(command, {})

        @functools.wraps(command)
        def run(*args: Any, **options: Any) -> None:
            given = inspect.signature(command).bind(*args, **options)
            given.apply_defaults()
            more = dict(given.arguments)
            addresses = partition_addresses(checked_address(str(more.pop("folder"))))
            if addresses and not more.pop("as_json") and not more.pop("follow", False):
                shown(addresses, **more)
            else:
                each(*args, **options)

        return cast("F", run)  # as above

    return of_command


def of_partition(given: str, number: int, count: int) -> str:
    """Return one of the texts that were given for all partitions, with commas between, in their order.

    Raises:
        PerdureError: there is not one for each.
    """
    each = given.split(",")
    if len(each) != count:
        raise PerdureError(f"{len(each)} for a queue of {count} partitions: give one for each, in order, with commas between")
    return each[number]


def _until_known(command: Callable[..., None], addresses: dict[int, str], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    unknown: UnknownMessage | None = None
    for number, address in addresses.items():
        with of_number(number, is_shown=False):
            try:
                command(address, *args, **options)
            except UnknownMessage as error:
                unknown = error
            else:
                return
    raise unknown or UnknownMessage(f"message {options['message_id']!r} is in no partition")


def of_number(number: int, *, is_shown: bool) -> AbstractContextManager[None]:
    """Mark what is printed within the block as of a partition, below its number if that is shown."""
    if is_shown:
        console.print(f"partition {number}", style="bold")
    return at_partition(number)
