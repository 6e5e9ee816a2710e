"""The logs of a whole queue, and where a copy of each goes. What is done with one of them is in `backups` and in the commands.

A queue of several partitions is `postgresql://…#QUEUE`, or a folder with a log for each in a folder named by its number, which is
how backups and copies of it are written.
"""

from __future__ import annotations

from pathlib import Path

from perdure.events.errors import StoreUnavailable
from perdure.runtime.database.routing_name import ROUTING
from perdure.store import is_postgres, partition_addresses, register_queue
from perdure.store.addresses import check_is_address

__all__ = ["copied_logs", "logs_of"]


def logs_of(source: str) -> dict[int, str]:
    """Return where each log of a queue is, by its number; empty where the address names one log, or nothing.

    Raises:
        StoreUnavailable: the database cannot be reached; or logs of the queue are missing.
    """
    if is_postgres(source):
        return {number: f"{source}/{number}" for number in partition_addresses(source)}  # with the password that it may hold
    return _in_folder(Path(source))


def copied_logs(source: str, target: str) -> dict[int, tuple[str, str]]:
    """Return where each log of a queue is and where it goes, by its number; empty where `source` is one log.

    In a database the queue is put on record with as many partitions, so that no host begins it with another number.

    Raises:
        StoreUnavailable: as `logs_of`; or the target is the place of one log, or of a queue with another number of partitions.
    """
    logs = logs_of(source)
    if not logs:
        return {}
    if is_postgres(target):
        register_queue(target, len(logs), ROUTING)
        return {number: (log, f"{target}/{number}") for number, log in logs.items()}
    check_is_address(target)
    Path(target).mkdir(parents=True, exist_ok=True)
    return {number: (log, str(Path(target) / str(number))) for number, log in logs.items()}


def _in_folder(folder: Path) -> dict[int, str]:
    try:
        inside = [*folder.iterdir()]
    except OSError:  # the reader says what is amiss with it
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
