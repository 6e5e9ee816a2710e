"""Options from the code, from a file that the host names and from the environment; each overrides the one before.

This module finds and reads settings, and remembers where each came from. What an option means and which values it takes is in
`options` and `handling/options/handler_options`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.parts import check_folder
from perdure.events.errors import InvalidMessage
from perdure.events.loggers import GuardedLogger
from perdure.handling.options.handler_options import SETTINGS
from perdure.options import Options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["HandlerSettings", "Traced", "load", "load_handlers", "trace"]

logger = GuardedLogger("perdure")

FILE = "perdure.toml"
"""The usual name of such a file. A file is read only if it is named, never because it lies in the working directory."""
DEFAULT = "default"
CODE = "code"
PREFIX = "PERDURE_"
FILE_VARIABLE = "PERDURE_CONFIG"
HANDLER_PREFIX = "PERDURE_HANDLER_"
MISSPELT = 0.8
"""A variable that sets nothing, with at least this `difflib` likeness to one that does, counts as misspelt."""
_SIZES = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_FIELDS = {field.name: field for field in attrs.fields(Options)}


def load(code: Options | None = None, *, path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Options:
    """Return the options in force; see `trace`.

    Raises:
        ValueError, OSError: as `trace`.
    """
    return trace(code, path=path, environ=environ).options


@attrs.frozen
class Traced:
    """The options in force, and where each was set."""

    options: Options
    file: Path | None
    """The file that was read; None where none was named."""
    sources: dict[str, str]
    """By option: `default`, `code`, the file with its table, or the environment variable."""

    def __str__(self) -> str:
        """Return one line with each option that is not its default, and its source."""
        changed = [
            f"{name}={getattr(self.options, name)!r} ({source})" for name, source in self.sources.items() if source != DEFAULT
        ]
        file = "no configuration file" if self.file is None else f"configuration file {self.file}"
        return f"options: {', '.join(changed) or 'all as by default'}; {file}"


def trace(code: Options | None = None, *, path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Traced:
    """Return the options in force: those of the code, overridden by the file's table `[perdure]`, overridden by the environment.

    Args:
        code: the options in the host's code; the defaults unless given.
        path: the file; what `PERDURE_CONFIG` names unless given, and none where that is not set. A file that is named must exist.
        environ: the environment; the process's own unless given. `PERDURE_BACKLOG_MAX=5000` sets `backlog_max`.

    Raises:
        ValueError: an option is unknown or out of its range; the error names it, its value, what is allowed, and where it was set.
        OSError: the named file cannot be read.
    """
    environ = os.environ if environ is None else environ
    options = code or Options()
    sources = {name: CODE if getattr(options, name) != field.default else DEFAULT for name, field in _FIELDS.items()}
    file, whole = _file(path, environ)
    if file is None and Path(FILE).exists():
        logger.warning("the %s in the working directory is not read; if it is to be, name it by %s", FILE, FILE_VARIABLE)
    _check_top(whole, file)
    for name, value in _table(whole, "perdure", file).items():
        options = _set(options, name, value, f"{file}, table [perdure]")
        sources[name] = f"{file}, table [perdure]"
    for variable, text in sorted(environ.items()):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or variable.startswith(HANDLER_PREFIX):
            continue
        if name in _FIELDS:
            options = _set(options, name, text, f"environment variable {variable}")
            sources[name] = f"environment variable {variable}"
        elif close := difflib.get_close_matches(name, _FIELDS, n=1, cutoff=MISSPELT):
            # No error, as other programs may have variables with this prefix too.
            logger.warning("environment variable %s sets nothing; did you mean %s%s?", variable, PREFIX, close[0].upper())
    return Traced(options, file, sources)


TABLES = ("perdure", "handlers")
"""What a configuration file may hold for perdure."""


class HandlerSettings:
    """Settings of handlers from a file and the environment, by message type."""

    def __init__(self, file: Path | None, tables: dict[str, dict[str, Any]], variables: dict[str, tuple[str, str, str]]) -> None:
        self._file = file
        self._tables = tables
        self._variables = variables
        """By variable: the type's name as environment variables can spell it, the option and its text."""

    def of(self, type_name: str) -> dict[str, Any]:
        """Return what is set for one type, by the names that `System.handler` has for its options."""
        settings = dict(self._tables.get(type_name, {}))
        for variable, (spelt, name, text) in self._variables.items():
            if spelt == _spell(type_name):
                settings[name] = _handler_setting(name, text, f"environment variable {variable}")
        return {SETTINGS[name][0]: value for name, value in settings.items()}

    def sources(self) -> Iterator[tuple[str, str, Any, str]]:
        """Yield each setting: the type (as it is spelt there), the option, its value and where it was set."""
        for type_name, settings in self._tables.items():
            for name, value in settings.items():
                yield type_name, name, value, f'{self._file}, table [handlers."{type_name}"]'
        for variable, (spelt, name, text) in self._variables.items():
            yield spelt, name, text, f"environment variable {variable}"

    def unused(self, type_names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the place of each setting for a type that is not among these, with a hint."""
        for name in self._tables.keys() - set(type_names):
            yield f'{self._file}, table [handlers."{name}"]', _hint(name, type_names)
        spelt_names = [_spell(name) for name in type_names]
        for variable, (spelt, _, _) in self._variables.items():
            if spelt not in spelt_names:
                yield f"environment variable {variable}", _hint(spelt, spelt_names)


def load_handlers(*, path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> HandlerSettings:
    """Return what the file's tables `[handlers."TYPE"]` and the environment set for handlers.

    A variable spells the type's name in capitals, with an underscore for each other character than letters and digits, and two
    underscores before the option: `PERDURE_HANDLER_SHOP_ORDERPLACED__TIMEOUT_S=5` for `shop.OrderPlaced`.

    Raises:
        ValueError, OSError: as `load`.
    """
    environ = os.environ if environ is None else environ
    file, whole = _file(path, environ)
    tables: dict[str, dict[str, Any]] = {}
    for type_name, values in _table(whole, "handlers", file).items():
        where = f'{file}, table [handlers."{type_name}"]'
        if not isinstance(values, dict):
            msg = f'{where}: must be a table; a name with dots needs quotes: [handlers."shop.OrderPlaced"]'
            raise ValueError(msg)  # noqa: TRY004 - a wrong file is a wrong value
        tables[type_name] = {name: _handler_setting(name, value, where) for name, value in values.items()}
    variables: dict[str, tuple[str, str, str]] = {}
    for variable, text in sorted(environ.items()):
        if variable.startswith(HANDLER_PREFIX):
            spelt, _, name = variable.removeprefix(HANDLER_PREFIX).rpartition("__")
            _handler_setting(name.lower(), text, f"environment variable {variable}")  # an error here, not at the first handler
            variables[variable] = (spelt, name.lower(), text)
    return HandlerSettings(file, tables, variables)


def _spell(type_name: str) -> str:
    """Return a type's name as environment variables spell it."""
    return re.sub(r"[^A-Z0-9]", "_", type_name.upper())


def _handler_setting(name: str, text: Any, where: str) -> Any:
    """Return the value of one setting of a handler, read and checked."""
    if name not in SETTINGS:
        msg = f"{where}: there is no option {name!r}; {_hint(name, SETTINGS)}"
        raise ValueError(msg)
    try:
        return SETTINGS[name][1].value(text)
    except InvalidMessage as error:
        msg = f"{where}: {name} = {text!r} is not valid: {error}"
        raise ValueError(msg) from error


def _hint(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"


def _named(path: str | Path | None, environ: Mapping[str, str]) -> str | Path | None:
    return environ.get(FILE_VARIABLE) or None if path is None else check_folder(path, "config")


def _file(path: str | Path | None, environ: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    """Return the named file and its content; None and nothing where no file is named."""
    named = _named(path, environ)
    if named is None:
        return None, {}
    file = Path(named).absolute()
    return file, _toml(file)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"the configuration file {file} cannot be read: {error.strerror}. Check what --config or {FILE_VARIABLE} names."
        raise type(error)(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is not a TOML file: {error}"
        raise ValueError(msg) from error


def _table(whole: dict[str, Any], name: str, file: Path | None) -> dict[str, Any]:
    table = whole.get(name, {})
    if not isinstance(table, dict):
        msg = f"{file}: {name} must be a table: [{name}]"
        raise ValueError(msg)  # noqa: TRY004 - a wrong file is a wrong value
    return table


def _check_top(whole: dict[str, Any], file: Path | None) -> None:
    """Refuse an option outside of the table `[perdure]`, and warn of a table that looks misspelt: neither would set anything.

    Other tables are allowed, since the file may belong to the host.
    """
    for name in whole.keys() - set(TABLES):
        if name in _FIELDS:
            msg = f"{file}: {name} stands outside of a table, where it sets nothing; put it below a line [perdure]"
            raise ValueError(msg)
        close = difflib.get_close_matches(name, TABLES, n=1, cutoff=MISSPELT)
        if close or name == "options":
            logger.warning("%s: the table [%s] sets nothing; did you mean [%s]?", file, name, close[0] if close else TABLES[0])


def _set(options: Options, name: str, value: Any, where: str) -> Options:
    field = _FIELDS.get(name)
    if field is None:
        msg = f"{where}: there is no option {name!r}; {_hint(name, _FIELDS)}"
        raise ValueError(msg)
    try:
        return attrs.evolve(options, **{name: _read(value, type(field.default))})
    except (TypeError, ValueError) as error:
        msg = f"{where}: {name} = {value!r} is not valid: {error}"
        raise ValueError(msg) from error


def _read(value: Any, kind: type) -> Any:
    """Return a text as a value of an option's type: `5000`, `5_000`, `0.5`, `64 MiB`; any other value as it is."""
    if isinstance(value, str) and kind is int:
        found = re.fullmatch(r"\s*(-?[\d_]+)\s*(\w*)\s*", value)
        if found is None or found[2].upper() not in _SIZES:
            msg = f"{value!r} is not a whole number, alone or with KiB, MiB or GiB behind it"
            raise ValueError(msg)
        return int(found[1]) * _SIZES[found[2].upper()]
    if isinstance(value, str) and kind is bool:
        words = {"true": True, "1": True, "false": False, "0": False}
        return words.get(value.strip().lower(), value)
    if kind is float and isinstance(value, (str, int)) and not isinstance(value, bool):
        return float(value)
    return value
