"""What a survey of a log yields: its stretches, its whole frames, and the damage between them.

`LogReader.survey` yields these; `maintenance` turns them into a verification or a repaired copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.store.values import Frame

__all__ = ["Damage", "Stretch", "SurveyedSnapshot", "SurveyedSpool", "WholeFrame"]


@attrs.frozen
class Stretch:
    """The beginning of a part of the log: of a segment file, or of the whole log where it has no parts."""

    file: str
    """The name of the file, or of what else holds it; for findings."""
    store_id: bytes
    first_seq: int
    epoch: int
    chain: bytes
    """The chain hash of the frame before its first; empty where `problem` is not."""
    size: int
    """Bytes before its first frame."""
    problem: str = ""
    """Why its header is not whole."""
    restarts: bool = False
    """It is the first one, or the owner has meanwhile dropped all that was surveyed before it."""


@attrs.frozen
class WholeFrame:
    """A whole frame; one without events is a seal."""

    file: str
    offset: int
    raw: bytes
    """Its bytes as `store/format/frame.py` lays them out."""
    frame: Frame
    epoch: int
    prev: bytes
    """The chain hash of the frame before it, as it says itself."""
    chain: bytes
    follows: bool
    """It continues the whole frame before it, or the header of its stretch."""


@attrs.frozen
class Damage:
    """Bytes that are no whole frame, or whole frames that do not continue each other."""

    file: str
    offset: int
    size: int
    """Bytes that belong to no whole frame; 0 where only the order is wrong."""
    seq: int
    """The sequence number that was expected there."""
    problem: str
    is_unread: bool = False
    """The rest of the stretch could not be read."""


@attrs.frozen
class SurveyedSnapshot:
    """A snapshot and whether it is whole."""

    file: str
    seq: int
    size: int
    """Bytes as it is kept."""
    problem: str = ""
    """Why it is not whole; empty if it is."""


@attrs.frozen
class SurveyedSpool:
    """A file with what a process published while nothing owned the log."""

    file: str
    items: int
    """Publishes in it that are whole."""
    size: int
    problem: str = ""
    """What is damaged; empty where nothing is."""
    offset: int = 0
