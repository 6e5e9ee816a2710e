"""Adds a field to every event class, and to the rows within them, and prints where it gets lost.

Started by `test_added_fields` in a process of its own: the field must be there before anything of perdure is imported.
"""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from typing import Any

GROWN: dict[str, set[str] | None] = {
    **{f"perdure.events.vocabulary.{kind}_events": None for kind in ("message", "act", "handler", "process")},
    "perdure.events.commands.publish_commands": {"Draft"},
}
"""The modules, and which classes of them; None: every event class, and the rows that stand in their fields."""
ROWS = {"FailureNote", "Extras"}


def grow(source: str, only: set[str] | None) -> ast.Module:
    """Return the tree of a module whose event classes have one more field, `extra`."""
    tree = ast.parse(source)
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        is_event = any(isinstance(d, ast.Call) and getattr(d.func, "id", "") == "event" for d in node.decorator_list)
        if node.name in only if only is not None else is_event or node.name in ROWS:
            node.body += ast.parse("extra: str | None = None").body
    return ast.fix_missing_locations(tree)


def plant() -> None:
    """Have the modules loaded with the field."""
    get_code = importlib.machinery.SourceFileLoader.get_code

    def grown(self: importlib.machinery.SourceFileLoader, name: str) -> Any:
        if name not in GROWN:
            return get_code(self, name)
        path = self.get_filename(name)
        return compile(grow(self.get_data(path).decode(), GROWN[name]), path, "exec")

    importlib.machinery.SourceFileLoader.get_code = grown  # type: ignore[assignment]  # it takes the module's name alone


def main() -> int:
    """Print where the field gets lost, and return the number of such places."""
    plant()
    from tests.events.codec import arrivals

    lost = [place for place, arrives in arrivals.places() if not arrives]
    sys.stdout.write("".join(f"{place}\n" for place in lost) or "nothing is lost\n")
    return len(lost)


if __name__ == "__main__":
    sys.exit(main())
