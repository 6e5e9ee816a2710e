"""`perdure run`: the System or Cluster of an application, found by its name and served until a signal.

How it is served is in `perdure.runtime.process.serving`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from perdure.cli.operated_folder import BadChoice
from perdure.cli.terminal import Terminal
from perdure.events.errors import PerdureError
from perdure.runtime.process.service_manager import notify
from perdure.system import System

__all__ = ["BadTarget", "run"]

console = Terminal()


class BadTarget(PerdureError):
    """An argument names something that does not exist or that the command cannot use."""


def run(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:attribute of a System or a Cluster, for example shop.queue:system.")
    ],
) -> None:
    """Start a System or a Cluster of an application, with its outbox relays, and serve until SIGTERM or SIGINT."""
    system = _load(target)

    def started() -> None:
        recovery = system.recovery
        here = f"{len(recovery)} of {system.count} partitions" if isinstance(recovery, dict) else recovery
        console.say_line(f"{target} runs; {here}")
        notify()

    try:
        system.serve(started=started)
    except (PerdureError, OSError):
        raise
    except (Exception, SystemExit) as error:  # start hooks, parts and settings of the host may raise any exception
        raise BadTarget(f"{target} could not be served: {type(error).__name__}: {error} ({_where(error)})") from error
    console.say_line(f"{target} stopped")


def _load(target: str) -> Any:
    module, colon, attribute = target.partition(":")
    named = all(part.isidentifier() for part in module.split("."))
    if not (named and colon and attribute):
        raise BadChoice(f"{target!r} is not a target; write module:attribute, for example shop.queue:system")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except SystemExit as error:
        raise BadTarget(
            f"{module!r} ended the program while it was imported: sys.exit({error.code!r}) ({_where(error)})"
        ) from error
    except Exception as error:  # code of the host may raise any exception while it is imported
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise BadTarget(f"no module {module!r} was found in this directory or on the Python path") from None
        raise BadTarget(
            f"{module!r} cannot be imported: {type(error).__name__}: {error} ({_where(error)}). "
            f"`{Path(sys.executable).name} -c 'import {module}'` in this directory shows the whole traceback"
        ) from error
    system: object = found
    reached = module
    for part in attribute.split("."):
        try:
            system = getattr(system, part)
        except AttributeError:
            systems = ", ".join(f"{module}:{name}" for name, value in vars(found).items() if _is_served(value))
            raise BadTarget(
                f"{reached} has no {part!r}, so {target} is not a perdure.System or Cluster; {module} holds {systems or 'none'}"
            ) from None
        except (Exception, SystemExit) as error:  # an attribute that the host computes may raise any exception
            raise BadTarget(f"{target} cannot be looked up: {type(error).__name__}: {error} ({_where(error)})") from error
        reached = f"{reached}:{part}" if reached == module else f"{reached}.{part}"
    if not _is_served(system):
        raise BadTarget(
            f"{target} is a {type(system).__name__}, not a perdure.System or Cluster; name an object, not a function that makes one"
        )
    return system


def _is_served(value: object) -> bool:
    """Return whether it is a System or a Cluster."""
    cluster = sys.modules.get("perdure.cluster.cluster")  # not imported here, as it needs a database's driver
    return isinstance(value, System) or (cluster is not None and isinstance(value, cluster.Cluster))


def _where(error: Exception | SystemExit) -> str:
    """Return the file and line in which an import failed: the innermost frame outside Python's frozen modules."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen ")]
    return f"{frames[-1].filename}, line {frames[-1].lineno}"
