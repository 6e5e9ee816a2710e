"""How many random examples a test tries: all of them in CI, a part of them by hand.

CI and `.ci/run` set the variable CI. A test that found something keeps that as an example of its own.
"""

from __future__ import annotations

import os

__all__ = ["examples"]

PART = 10
FEWEST = 10


def examples(in_ci: int) -> int:
    """Return how many examples to try, for a test that tries `in_ci` of them in CI."""
    return in_ci if os.environ.get("CI") else max(FEWEST, in_ci // PART)
