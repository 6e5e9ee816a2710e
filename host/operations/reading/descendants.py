"""What came of a message: the tree of all that its handler published, what their handlers published, and how each stands.

Pure: reading the log is the caller's. The events of one message are `Audit.timeline`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from perdure.operations.reading.record import Record

__all__ = ["NODES_MAX", "Node", "descendants"]

NODES_MAX = 1_000
"""Messages of one tree; those that are published later are left out."""
QUIET = ("MessagesAdministered", "ResultKept", "ResultDropped", "KeyHeld", "KeyFreed", "Progressed", "LeaseExtended")
"""Events that do not say where a message stands."""


@attrs.define
class Node:
    """One message of the tree."""

    id: str
    type: str
    key: str | None = None
    published: dt.datetime | None = None
    last: str = ""
    """The event that says where it stands."""
    at: dt.datetime | None = None
    """When that was."""
    attempts: int = 0
    children: list[Node] = attrs.field(factory=list)


def descendants(records: Iterable[Record], message_id: str) -> Node:
    """Return the tree below a message, from its records and those that follow."""
    root = Node(message_id, "")
    nodes = {message_id: root}
    for record in records:
        event = record.event
        if isinstance(event, ev.Published) and event.id not in nodes:
            parent = nodes.get(event.causation_id or "")
            if parent is None or len(nodes) >= NODES_MAX:
                continue
            nodes[event.id] = node = Node(event.id, event.type, event.key, record.at)
            parent.children.append(node)
        node_of = nodes.get(record.message_id or "")
        if node_of is not None and record.name not in QUIET:
            node_of.last, node_of.at = record.name, record.at
            node_of.attempts = max(node_of.attempts, getattr(event, "attempt", 0))
            if isinstance(event, ev.Published):
                node_of.type, node_of.key, node_of.published = event.type, event.key, record.at
    return root
