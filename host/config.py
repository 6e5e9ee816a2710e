"""Options from code, from `perdure.toml` and from the environment, each stronger than the one before.

What an option means and which values it takes is in `options`; here it is only found, read and told where it came from.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from perdure.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load"]

FILE = "perdure.toml"
PREFIX = "PERDURE_"
FILE_VARIABLE = "PERDURE_CONFIG"
_SIZES = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_FIELDS = {field.name: field for field in attrs.fields(Options)}


def load(code: Options | None = None, *, path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Options:
    """Give the options that hold: those of the code, changed by the file's table `[perdure]`, changed by the environment.

    Args:
        code: what the host's code says; the defaults unless given.
        path: the file; `PERDURE_CONFIG`, else `perdure.toml` in the working directory, unless given. A named one must be there.
        environ: the environment; the process's own unless given. `PERDURE_BACKLOG_MAX=5000` sets `backlog_max`.

    Raises:
        ValueError: an option is unknown or out of its range; names it, its value, what is allowed, and where it was set.
        OSError: the file that was named cannot be read.
    """
    environ = os.environ if environ is None else environ
    options = code or Options()
    named = path or environ.get(FILE_VARIABLE)
    file = Path(named or FILE)
    if named or file.exists():
        for name, value in _table(file).items():
            options = _set(options, name, value, f"{file}, table [perdure]")
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and variable != FILE_VARIABLE and (name := variable.removeprefix(PREFIX).lower()) in _FIELDS:
            options = _set(options, name, text, f"environment variable {variable}")
    return options


def _table(file: Path) -> dict[str, Any]:
    try:
        whole = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{file} is no TOML file: {error}"
        raise ValueError(msg) from error
    table = whole.get("perdure", {})
    if not isinstance(table, dict):
        msg = f"{file}: perdure is to be a table: [perdure]"
        raise ValueError(msg)  # noqa: TRY004 - a wrong file is a wrong value
    return table


def _set(options: Options, name: str, value: Any, where: str) -> Options:
    field = _FIELDS.get(name)
    if field is None:
        close = difflib.get_close_matches(name, _FIELDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(_FIELDS)}"
        msg = f"{where}: there is no option {name!r}; {hint}"
        raise ValueError(msg)
    try:
        return attrs.evolve(options, **{name: _read(value, type(field.default))})
    except (TypeError, ValueError) as error:
        why = str(error.args[0]) if error.args else str(error)
        msg = f"{where}: {name} = {value!r} cannot be: {why}"
        raise ValueError(msg) from error


def _read(value: Any, kind: type) -> Any:
    """Read a text as an option's type: `5000`, `5_000`, `0.5`, `64 MiB`; what is no text is taken as it is."""
    if isinstance(value, str) and kind is int:
        found = re.fullmatch(r"\s*(-?[\d_]+)\s*(\w*)\s*", value)
        if found is None or found[2].upper() not in _SIZES:
            msg = f"{value!r} is no whole number, with KiB, MiB or GiB behind it or nothing"
            raise ValueError(msg)
        return int(found[1]) * _SIZES[found[2].upper()]
    if kind is float and isinstance(value, (str, int)) and not isinstance(value, bool):
        return float(value)
    return value
