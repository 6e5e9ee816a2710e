"""Runs one of the room's tools in this process with a bug planted in perdure: `python planted.py SPEC`. Which bugs, see `mutants`.

Nothing of perdure may be imported before the bug is in; so this file is run by its path, and imports nothing of ours on top.
"""

from __future__ import annotations

import importlib.machinery
import json
import sys
from typing import Any

__all__ = ["main", "plant"]

SURVIVED, KILLED, NOT_PLANTED = 0, 9, 3


class TextIsGone(ImportError):
    """The source no longer holds the text that was to be replaced: the mutant must be planted anew, by hand."""


def plant(edits: list[dict[str, str]]) -> set[str]:
    """Have modules loaded with texts replaced; gives the set in which the names of those appear that have been."""
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
                msg = f"{name} holds {source.count(edit['old'])} times, not once: {edit['old']!r}"
                raise TextIsGone(msg)
            source = source.replace(edit["old"], edit["new"])
        planted.add(name)
        return compile(source, path, "exec")

    importlib.machinery.SourceFileLoader.get_code = get_planted_code  # type: ignore[method-assign, assignment]
    return planted


def main(spec: dict[str, Any]) -> int:
    """Plant, run the tool, and say whether it noticed: the exit status, and a line that says how."""
    planted = plant(spec["edits"])
    try:
        from perdure.chaos.mutation.mutants import run_tool  # noqa: PLC0415 - see the module's docstring

        noticed = run_tool(spec["tool"], spec["effort"], spec["first"])
    except TextIsGone as error:
        sys.stdout.write(f"{error}\n")
        return NOT_PLANTED
    if missing := {edit["module"] for edit in spec["edits"]} - planted:
        sys.stdout.write(f"never loaded: {sorted(missing)}\n")
        return NOT_PLANTED
    sys.stdout.write(f"{noticed or 'nothing was noticed'}\n")
    return KILLED if noticed else SURVIVED


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose modules would hide others of the same names
    sys.exit(main(json.loads(sys.argv[1])))
