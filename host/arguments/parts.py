"""Checks of what a `System` or a `Client` is made of: its folder, options, codec, clock and store.

A wrong one is refused here, by its name, before it can fail in a thread of the system. Single values are checked in `choices`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.arguments.labels import plain
from perdure.events.errors import InvalidMessage, StoreUnavailable
from perdure.events.seconds import shown
from perdure.store.addresses import check_is_address

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_folder", "check_has", "check_is", "fixed_path"]


def check_folder(folder: Any, field: str = "folder") -> str:
    """Return the path of a folder, or of a file, as text.

    Raises:
        TypeError: it is not a path.
        InvalidMessage: it is empty, which would stand for the working directory, or no path of the operating system. It is a
            ValueError, too.
        StoreUnavailable: it names a database in a way that perdure does not know.
    """
    path = os.fspath(folder) if isinstance(folder, os.PathLike) else folder
    if not isinstance(path, str):
        msg = f"{field}: a path (text or pathlib.Path), not {shown(folder)}"
        raise TypeError(msg)
    path = plain(path)
    if not path or "\0" in path or not _is_encodable(path):
        msg = f"{field}: a path of this operating system, not {shown(path)}; write '.' for the working directory"
        raise InvalidMessage(msg)
    check_is_address(path)
    return path


def fixed_path(path: str | os.PathLike[str], field: str = "folder") -> Path:
    """Return a path that leads to the same place whatever the working directory becomes.

    Raises:
        StoreUnavailable: it is relative, and the working directory was removed.
    """
    try:
        return Path(path).absolute()
    except OSError as error:
        msg = f"{field}: {shown(os.fspath(path))} is relative, and the working directory is gone ({error.strerror}). Name it whole."
        raise StoreUnavailable(msg) from error


def _is_encodable(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def check_is(field: str, value: Any, kind: type) -> None:
    """Check that an argument is an object of a class, if it is given.

    Raises:
        TypeError: it is another object, or a class.
    """
    if value is not None and not isinstance(value, kind):
        msg = f"{field}: an object of perdure.{kind.__qualname__}, not {shown(value)}"
        raise TypeError(msg)


def check_has(field: str, value: Any, what: str, methods: Iterable[str]) -> None:
    """Check that an argument is an object with these methods, if it is given.

    Raises:
        TypeError: it lacks one, or is a class.
    """
    if value is None:
        return
    missing = [name for name in methods if not callable(getattr(value, name, None))]
    if missing or isinstance(value, type):
        why = "it is a class; make an object of it" if isinstance(value, type) else f"it has no {', '.join(missing)}"
        msg = f"{field}: {what}, not {shown(value)}: {why}"
        raise TypeError(msg)
