"""Plant bugs in perdure and run one of this room's tools on each: `python planted.py`, with a bug in each line of its input.

A bug must be in place before any module of perdure is imported, so this file is run by its path and imports perdure late. Each
bug has a process of its own: a fork of this one, which has imported other libraries only. The list of bugs is in `bugs`.
"""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
from typing import IO, Any

__all__ = ["main", "plant"]

SURVIVED, KILLED, NOT_PLANTED = 0, 9, 3
LIBRARIES = ("asyncio", "attrs", "cloudpickle", "concurrent.futures.process", "msgspec", "pykka", "pytest", "zoneinfo", "zstandard")
"""What is imported once for all bugs, where it is installed: most of what the tools need."""


class TextIsGone(ImportError):
    """The source does not contain the text to replace exactly once. The bug's entry must be updated by hand."""


def plant(edits: list[dict[str, str]]) -> set[str]:
    """Replace texts in modules as they are loaded. Return a set that fills with the names of the modules edited so far."""
    by_module: dict[str, list[dict[str, str]]] = {}
    for edit in edits:
        by_module.setdefault(edit["module"], []).append(edit)
    planted: set[str] = set()
    get_code = importlib.machinery.SourceFileLoader.get_code

    def get_planted_code(self: importlib.machinery.SourceFileLoader, name: str) -> Any:
        if name not in by_module:
            return get_code(self, name)
        path = self.get_filename(name)
        source = self.get_data(path).decode()
        for edit in by_module[name]:
            if source.count(edit["old"]) != 1:
                msg = f"{name} contains {source.count(edit['old'])} times, not once: {edit['old']!r}"
                raise TextIsGone(msg)
            source = source.replace(edit["old"], edit["new"])
        planted.add(name)
        return compile(source, path, "exec")

    importlib.machinery.SourceFileLoader.get_code = get_planted_code  # type: ignore[method-assign, assignment]  # so bugs are planted
    return planted


def main(spec: dict[str, Any]) -> int:
    """Plant the bug, run the tool and print what it noticed. Return the exit status."""
    planted = plant(spec["edits"])
    try:
        from perdure.chaos.mutation.tools import run_tool  # noqa: PLC0415 - see the module's docstring

        noticed = run_tool(spec["tool"], spec["effort"], spec["first"], spec.get("favoured", ()))
    except TextIsGone as error:
        sys.stdout.write(f"{error}\n")
        return NOT_PLANTED
    if missing := {edit["module"] for edit in spec["edits"]} - planted:
        sys.stdout.write(f"never loaded: {sorted(missing)}\n")
        return NOT_PLANTED
    sys.stdout.write(f"{noticed or 'nothing was noticed'}\n")
    return KILLED if noticed else SURVIVED


def next_spec(specs: IO[str], answers: IO[str]) -> dict[str, Any]:
    """Fork for each bug that stdin names, and answer how its process ended; return in the forks only, each with its own bug."""
    while line := specs.readline():
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
                    os.dup2(nothing.fileno(), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                spec: dict[str, Any] = json.loads(line)
                return spec
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read())
        json.dump([status, *texts], answers)
        answers.write("\n")
        answers.flush()
    sys.exit(0)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules would hide others of the same names
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is not None:
            importlib.import_module(library)
    gc.freeze()
    sys.exit(main(next_spec(sys.stdin, sys.stdout)))
