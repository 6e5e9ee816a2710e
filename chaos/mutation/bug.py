"""What a planted bug is: edits of source text, and the tool that must notice them.

The bugs themselves are in `actor_bugs`, `event_bugs` and `store_bugs`.
"""

from __future__ import annotations

import attrs

__all__ = ["OPERATIONS", "SCENARIOS", "Bug", "Edit"]

SCENARIOS = 300
"""Scenarios within which the simulation must notice a bug."""
OPERATIONS = 45
"""Disk operations within which the crash states must notice a bug."""


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
    """The tool that must notice it: `simulation` or `crash states`."""
    effort: int
    """Scenarios or operations within which the tool must notice it."""
    edits: tuple[Edit, ...]
    found: bool = False
    """Whether perdure once had this bug, and `tool` found it."""
    first: int = 0
    """The simulation's first seed; not 0 for a bug that few scenarios show."""
