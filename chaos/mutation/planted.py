"""Plant a bug in perdure and run one of this room's tools in the same process: `python planted.py SPEC`.

The bug must be in place before any module of perdure is imported, so this file is run by its path and imports perdure late.
The list of bugs is in `bugs`.
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
from typing import Any

__all__ = ["main", "plant"]

SURVIVED, KILLED, NOT_PLANTED = 0, 9, 3


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

    importlib.machinery.SourceFileLoader.get_code = get_planted_code  # type: ignore[method-assign, assignment]
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


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules would hide others of the same names
    sys.exit(main(json.loads(sys.argv[1])))
