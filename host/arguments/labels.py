"""Checks of short texts that name something: keys, ids, groups, types.

Longer texts (reasons, notes, errors) are cut instead: `perdure.actors.core.texts`.
"""

from __future__ import annotations

from typing import Any

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown

__all__ = ["LABEL_MAX", "check_label", "plain"]

LABEL_MAX = 512
"""Characters of a key, an id, a group and the like."""


def check_label(field: str, value: Any, chars_max: int = LABEL_MAX) -> str:
    """Return a text of 1 to `chars_max` characters as a plain `str`, which any log can hold.

    Raises:
        InvalidMessage: it is no such text, or cannot be encoded; names the field.
    """
    text = plain(value) if isinstance(value, str) else ""
    if not 0 < len(text) <= chars_max:
        found = f"{len(text)} characters" if isinstance(value, str) else shown(value)
        msg = f"{field}: a string of 1 to {chars_max} characters, not {found}"
        raise InvalidMessage(msg)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = f"{field}: cannot be encoded as UTF-8: {error}"
        raise InvalidMessage(msg) from error
    return text


def plain(value: str) -> str:
    """Return a text as a `str` itself. The codec refuses subclasses (a StrEnum's member, markupsafe.Markup, numpy.str_)."""
    return value if type(value) is str else str.__str__(value)
