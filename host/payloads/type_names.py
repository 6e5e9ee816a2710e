"""Type names: each message class has a stable name and a version, and older versions are brought up to today's.

How objects become payloads is in `codecs`.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from perdure.arguments.labels import check_label
from perdure.events.errors import InvalidMessage, UnknownMessageType
from perdure.events.public_names import public
from perdure.events.seconds import shown
from perdure.payloads.class_memory import is_full, remember
from perdure.payloads.foreign_types import decode_hook, is_model, model_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = [
    "TypeNames",
    "bare",
    "held_up",
    "message",
    "module_of",
    "name_of",
    "namesake",
    "namesakes",
    "object_of",
    "unhandled",
    "upcast",
    "version_of",
]

T = TypeVar("T")
NAME_ATTRIBUTE = "__perdure_name__"
VERSION_ATTRIBUTE = "__perdure_version__"
VERSION_MAX = 10_000
NAME_CHARS_MAX = 200
SHOWN_MAX = 5
"""Types that an error names."""


@public
def message(
    *, name: str, version: int = 1, upcasters: Mapping[int, Callable[[Any], Any]] | None = None
) -> Callable[[type[T]], type[T]]:
    """Return a decorator that gives a message class a stable name, so that it can be moved, renamed, or defined inside a function.

    Args:
        name: the type's name in the log.
        version: the version of the fields. Raise it when they change in a way that defaults do not cover.
        upcasters: for each older version, a function from its fields (plain data) to those of the next version.

    Raises:
        InvalidMessage: the name is empty or longer than 200 characters, or no upcasters lead from an older version to this one.
    """
    name = check_label("name", name, NAME_CHARS_MAX)

    try:
        steps = dict(upcasters or {})
    except Exception:  # noqa: BLE001 - also foreign code: a mapping of the host's own
        msg = f"upcasters: a function for each older version, such as {{1: function}}, not {shown(upcasters)}"
        raise InvalidMessage(msg) from None
    if type(version) is not int or not 1 <= version <= VERSION_MAX or not set(steps) <= set(range(1, version)):
        known = sorted(map(shown, steps))
        msg = (
            f"version: a whole number from 1 to {VERSION_MAX} above every version in upcasters ({', '.join(known)}), not "
            f"{shown(version)}"
        )
        raise InvalidMessage(msg)
    if missing := sorted(set(range(1, version)) - set(steps)):
        msg = (
            f"upcasters: {name!r} in version {version} has no way up from version {missing[0]}: a function for each older version, "
            f"also for {', '.join(map(str, missing))}. For one that no log holds any more, give a function that raises."
        )
        raise InvalidMessage(msg)
    for step, function in steps.items():
        if not callable(function):
            msg = f"upcasters: a function from version {step} of {name!r}, not {shown(function)}"
            raise InvalidMessage(msg)

    def named(cls: type[T]) -> type[T]:
        try:
            if not isinstance(cls, type):
                raise TypeError  # noqa: TRY301 - reported below
            setattr(cls, NAME_ATTRIBUTE, name)
            setattr(cls, VERSION_ATTRIBUTE, (version, steps))
        except TypeError:
            msg = f"message: the decorator of a class of your own, not of {shown(cls)}"
            raise InvalidMessage(msg) from None
        return cls

    return named


def bare(decorator: str, argument: str) -> str:
    """Return the error text for a decorator that was given the function itself instead of its argument."""
    return f"{argument} is missing: write `@system.{decorator}({argument})` above the function, not `@system.{decorator}` alone"


def name_of(cls: type) -> str:
    """Return the stable name of a message class.

    Raises:
        UnknownMessageType: it is no class, or is defined inside a function and has no name of its own, so a later run could not
            find it.
    """
    if not isinstance(cls, type):
        msg = f"type: a message class is needed here, not {shown(cls)}"
        if inspect.isroutine(cls):
            msg = f"type: {bare('handler', 'MessageClass')}"
        elif isinstance(getattr(cls, "__class__", None), type) and cls.__class__.__module__ != "builtins":
            msg += f". That is an object of {cls.__class__.__qualname__}: give the class"
        raise UnknownMessageType(msg)
    name = cls.__dict__.get(NAME_ATTRIBUTE)
    if name is not None:
        return str(name)
    if "<locals>" in cls.__qualname__:
        msg = (
            f"type: {cls.__qualname__} is defined inside a function, where a later run cannot find it again. Move it to the "
            'top level of its module, or name it: @perdure.message(name="...").'
        )
        raise UnknownMessageType(msg)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{module_of(cls)}.{cls.__qualname__}"


def module_of(thing: Any) -> str:
    """Return the module of a class or function, for a name that other processes know it by.

    Children of `multiprocessing` that are spawned, or come from a fork server, import the main program as `__mp_main__`.
    """
    return "__main__" if thing.__module__ == "__mp_main__" else str(thing.__module__)


def namesake(name: str, handled: Collection[str]) -> str:
    """Return the type among those that are handled whose class has the same name as this one, which is not; empty if there is none.

    A message gets such a type where its class was moved, or was published by the program that defines it: there the module of the
    class is `__main__`, and elsewhere it has its own name.
    """
    own = name.rpartition(".")[2]
    return "" if name in handled else min((other for other in handled if other.rpartition(".")[2] == own), default="")


def namesakes(waiting: Mapping[str, int], handled: Collection[str]) -> list[str]:
    """Return a warning for each type that waits without a handler while one of these handlers is for a class of the same name.

    Args:
        waiting: how many messages wait, by type name.
        handled: the names of the types that have a handler.
    """
    return [
        f"{count:,} message(s) of type {name} wait, and have no handler here; there is one for {alike}. If that is the same class, "
        f'give it a name that does not depend on its module: @perdure.message(name="{name}").'
        for name, count in sorted(waiting.items())
        if count and (alike := namesake(name, handled))
    ]


def unhandled(waiting: Mapping[str, int], handled: Collection[str]) -> str:
    """Return which types wait without a handler, and what to do, for the end of an error; empty where there are none.

    Args:
        waiting: how many messages wait, by type name.
        handled: the names of the types that have a handler, in whatever process.
    """
    alone = sorted((name for name, count in waiting.items() if count and name not in handled), key=lambda name: -waiting[name])
    if not alone:
        return ""
    listed = ", ".join(f"{name} ({waiting[name]:,})" for name in alone[:SHOWN_MAX])
    more = f" and {len(alone) - SHOWN_MAX:,} other types" if len(alone) > SHOWN_MAX else ""
    said = f". No handler is at work for {listed}{more}"
    for name in alone:
        if alike := namesake(name, handled):
            return (
                f"{said}; there is one for {alike}. If that is the class of {name}, give it a name that does not depend on its "
                f'module, @perdure.message(name="{name}"), or import the module in the program that is run: a file that is run is '
                "called __main__"
            )
    return f"{said}: start a process that has one, or import the module that registers it"


def held_up(waiting: Mapping[str, int], paused: Collection[str]) -> str:
    """Return which types wait because they are paused, and what to do, for the end of an error; empty where there are none.

    Args:
        waiting: how many messages wait, by type name.
        paused: the names of the types whose deliveries are paused.
    """
    names = sorted(paused, key=lambda name: -waiting[name])
    if not names:
        return ""
    listed = ", ".join(f"{name} ({waiting[name]:,})" for name in names[:SHOWN_MAX])
    more = f" and {len(names) - SHOWN_MAX:,} other types" if len(names) > SHOWN_MAX else ""
    return f". Paused: {listed}{more}; `admin.resume` lets deliveries go on"


def version_of(cls: type | None) -> int:
    """Return the version of a message class's fields; 1 unless it declares another."""
    return int(cls.__dict__.get(VERSION_ATTRIBUTE, (1,))[0]) if cls is not None else 1


def upcast(plain: Any, version: int, cls: type) -> Any:
    """Return an object of today's class from the plain data of an older version.

    Raises:
        InvalidMessage: an upcaster is missing or fails, or its result does not fit the class.
    """
    today, steps = cls.__dict__.get(VERSION_ATTRIBUTE, (1, {}))
    for step in range(version, today):
        if step not in steps:
            msg = f"a payload of {cls.__qualname__} in version {step} has no upcaster to version {step + 1}"
            raise InvalidMessage(msg)
        try:
            plain = steps[step](plain)
        except Exception as error:
            msg = f"the upcaster of {cls.__qualname__} from version {step} failed: {error!r}"
            raise InvalidMessage(msg) from error
    if isinstance(plain, cls):
        return plain
    try:
        return object_of(plain, cls)
    except Exception as error:
        msg = f"a payload brought up from version {version} does not fit {cls.__qualname__}: {error}"
        raise InvalidMessage(msg) from error


def object_of(plain: Any, cls: type) -> Any:
    """Return an object of a class from the plain data of its fields, in today's version.

    Raises:
        Whatever the class, or its model, raises where they do not fit.
    """
    return model_reader(cls)(plain) if is_model(cls) else msgspec.convert(plain, cls, dec_hook=decode_hook)


class TypeNames:
    """The classes by name and the names by class.

    Those with handlers are kept. Of all others there are as many as `class_memory` says: a host may make one for each request.
    """

    def __init__(self) -> None:
        self._kept: dict[str, type] = {}
        """The classes that have handlers, by name."""
        self._used: dict[str, type] = {}
        """Those that were published, asked for or returned by a handler."""
        self._names: dict[type, str] = {}
        self._result_names: dict[type, str] = {}
        self.versions: dict[str, int] = {}
        """The versions of the types that have more than one."""
        self.noticed: Callable[[str], None] = lambda _: None
        """Called with the name of each message class that is used here for the first time."""

    def of(self, kind: str | type) -> str:
        """Return the name of a class; a name is returned as it is.

        Raises:
            UnknownMessageType: as `name`.
        """
        return check_label("type", kind) if isinstance(kind, str) else self.name(kind)

    def name(self, cls: type, check: Callable[[type], None] | None = None) -> str:
        """Return a message class's name, and remember the class.

        Args:
            cls: the class.
            check: is called with a class that is used for the first time. One that it refuses is not remembered.

        Raises:
            UnknownMessageType: it is not a class, it has no stable name, or another class has the same name.
            Others as `check`.
        """
        name = self._names.get(cls) if isinstance(cls, type) else None
        if name is None:
            name = self._free_name(cls)
            if check is not None:
                check(cls)
            self._use(name, cls)
            remember(self._names, cls, name)
            self.noticed(name)
        return name

    def name_of_result(self, cls: type) -> str:
        """Return the name of a class of which a handler returned an object, and remember the class. It need be no message class.

        Raises:
            UnknownMessageType: as `name`.
        """
        name = self._result_names.get(cls)
        if name is None:
            name = self._free_name(cls)
            self._use(name, cls)
            remember(self._result_names, cls, name)
        return name

    def _free_name(self, cls: type) -> str:
        name = name_of(cls)
        other = self._kept.get(name, self._used.get(name))
        if other is not None and other is not cls and other.__qualname__ != cls.__qualname__:
            msg = f"type: the name {name!r} belongs to {shown(other)} already; give {shown(cls)} another one"
            raise UnknownMessageType(msg)
        return name

    def _use(self, name: str, cls: type) -> None:
        if name in self._kept:
            self._kept[name] = cls
        else:
            if is_full(self._used):  # all at once, so that a class with a known name is always found by it
                # Versions of these stay until as many again were used: other threads may be making drafts with these names.
                recent = {*list(self._used), *list(self._names.values())}
                self._names.clear()
                self._result_names.clear()
                self._used.clear()
                for other in list(self.versions):
                    if other not in recent and other not in self._kept:
                        self.versions.pop(other, None)
            self._used[name] = cls
        if version_of(cls) > 1:
            self.versions[name] = version_of(cls)

    def keep(self, name: str, cls: type) -> None:
        """Keep a class under a name, its own or another one, for as long as this object lives: it has a handler."""
        self._kept[name] = cls
        self._used.pop(name, None)

    def find(self, name: str) -> type | None:
        """Return the class with a name: one that was used here, or one of a loaded module; None if there is none."""
        known = self._kept.get(name, self._used.get(name))
        if known is not None:
            return known
        module, _, qualname = name.rpartition(".")
        found = getattr(sys.modules.get(module or "builtins"), qualname, None)
        return found if isinstance(found, type) and found.__dict__.get(NAME_ATTRIBUTE) in (None, name) else None

    def known(self) -> list[str]:
        """Return the names of the message classes that were used here, sorted."""
        return sorted({*self._kept, *list(self._names.values())})
