"""One run of one load, in this process. `rounds` starts a process for each, so that no run inherits the heap of another."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from benchmarks import folders
from benchmarks.effort import EFFORTS
from benchmarks.groups import find
from benchmarks.load import Missing, Prepared

__all__ = ["Outcome"]


class Outcome(msgspec.Struct):
    """The result of a run: a value for each measure, or the reason why there is none."""

    values: list[float] = []
    missing: str = ""


def main() -> None:
    """Run the load that the arguments name, and write its outcome to a file."""
    match sys.argv[1:]:
        case ["prepare", kind, size, folder]:
            folders.make(Prepared(kind, int(size)), Path(folder))
        case ["run", group, name, effort, folder, outcome]:
            try:
                values = find(group, name, EFFORTS[effort]).run(Path(folder))
                made = Outcome([values] if isinstance(values, int | float) else list(values))
            except Missing as error:
                made = Outcome(missing=str(error))
            Path(outcome).write_bytes(msgspec.json.encode(made))
        case arguments:
            msg = f"child: unknown arguments: {arguments}"
            raise SystemExit(msg)


if __name__ == "__main__":
    main()
