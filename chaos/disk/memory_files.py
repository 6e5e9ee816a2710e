"""Files and names on a disk in memory, with the changes that are not synced.

The disk that has them is in `memory_disk`; which changes a power cut may lose is decided in `crash_states`.
"""

from __future__ import annotations

import attrs

__all__ = ["Change", "File", "Link", "apply", "follow"]


@attrs.frozen
class Change:
    """A write of `data` at `offset` that is not synced. If `data` is None: a truncation at `offset`."""

    offset: int
    data: bytes | None


@attrs.define(eq=False)
class File:
    """One file: what a reader sees, what is certainly on the disk, and the changes that may be."""

    seen: bytearray = attrs.field(factory=bytearray)
    durable: bytes = b""
    pending: list[Change] = attrs.field(factory=list)
    undecided: list[Change] = attrs.field(factory=list)
    """Changes of failed syncs: no later sync makes them durable."""

    def apply(self, change: Change) -> None:
        """Make a change visible to readers."""
        apply(self.seen, change)
        self.pending.append(change)

    def sync(self) -> None:
        """Make all pending changes durable. The undecided ones stay undecided."""
        whole = bytearray(self.durable)
        for change in self.pending:
            apply(whole, change)
        self.durable, self.pending = bytes(whole), []


def apply(content: bytearray, change: Change) -> None:
    """Apply a change to a file's content."""
    if change.data is None:
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    end = change.offset + len(change.data)
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : end] = change.data


@attrs.frozen
class Link:
    """A change of names that is not synced: each name now refers to this file (None: to none). It is atomic."""

    names: tuple[tuple[str, File | None], ...]


def follow(names: dict[str, File], link: Link) -> None:
    """Apply a change of names."""
    for name, file in link.names:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file
