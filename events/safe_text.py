"""Text from outside made safe to show: it cannot control a terminal, reverse the reading order, or begin a new line.

Pure. How the command line prints is in `perdure.cli.terminal`.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["inert"]

_JOINERS = "\u200c\u200d"
"""Invisible parts of words and signs in some scripts, which are kept: they do not change the reading order."""
_MAYBE = re.compile(r"[^ -~]")
_KEPT = "\n\t"


def inert(text: object, *, lines: bool = False) -> str:
    r"""Return a text with all controls spelt out, as `\x1b`, `\n` or `\u202e`; with `lines`, line ends and tabs stay."""
    return _MAYBE.sub(lambda found: _spelt(found[0], _KEPT if lines else ""), str(text))


def _spelt(char: str, kept: str) -> str:
    """Spell out what controls a terminal (Cc), the order of reading (Cf), or lines (Zl, Zp), and what cannot be encoded (Cs)."""
    if char in kept or char in _JOINERS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return char
    return char.encode("unicode_escape").decode("ascii")
