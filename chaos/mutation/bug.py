"""What a planted bug is: edits of source text, and the tool that must notice them.

The bugs themselves are in `bugs/`.
"""

from __future__ import annotations

from pathlib import Path

import attrs

__all__ = ["OPERATIONS", "SCENARIOS", "SOURCE", "Bug", "Edit", "is_test"]

SCENARIOS = 300
"""Scenarios within which the simulation must notice a bug."""
OPERATIONS = 45
"""Disk operations within which the crash states must notice a bug."""
SOURCE = Path(__file__).parents[2]
"""The root of the source tree, where perdure is run from one."""


def is_test(tool: str) -> bool:
    """Return whether a tool is a file of tests."""
    return tool.endswith(".py")


@attrs.frozen
class Edit:
    """A text that a module's source must contain exactly once, and the text that replaces it."""

    module: str
    old: str
    new: str


@attrs.frozen
class Bug:
    """One planted bug."""

    name: str
    place: str
    """The part of perdure that it breaks."""
    tool: str
    """What must notice it: `simulation`, `clients`, `roles` and `spool` (scenarios that all have some), `crash states`, or a file
    of tests, by its path from the root of the source."""
    effort: int
    """Scenarios or operations within which the tool must notice it; tests run to their end."""
    edits: tuple[Edit, ...]
    found: bool = False
    """Whether perdure once had this bug, and `tool` found it."""
    first: int = 0
    """The simulation's first seed; not 0 for a bug that few scenarios show."""

    favoured: tuple[str, ...] = ()
    """The simulation's steps that show it; they are drawn more often than others."""

    @property
    def can_be_judged(self) -> bool:
        """Whether its tool is here: an installed package has no tests."""
        return not is_test(self.tool) or (SOURCE / self.tool).is_file()
