"""Messages of one partition's handlers for another: they cannot commit with their parent, so they go into the ingress before it.

The id of each is made from the parent's id and its place among the parent's children. So a repeated attempt publishes it under the
same id, and it counts once.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from perdure.cluster.routing import of_id, of_text
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perdure.actors.workers.gates.gate import Parent
    from perdure.events.commands import Draft
    from perdure.payloads.type_names import TypeNames

__all__ = ["Children", "derived_id"]


def derived_id(parent: str, n: int, type_name: str, label: str, partition: int) -> str:
    """Return the id of the n-th message that a message's handlers publish for another partition; `of_id` finds that partition."""
    said = "\0".join((parent, str(n), type_name, label)).encode("utf-8", "surrogatepass")
    made = blake2b(said, digest_size=16).hexdigest()
    return f"{made[:8]}-{made[8:12]}-7{partition:03x}-{0x8000 | int(made[12:16], 16) & 0x3FFF:04x}-{made[16:28]}"


class Children:
    """Makes ids for messages that one partition's handlers publish for others, and sends them. May be used in any thread.

    Args:
        number: the partition.
        partitions: how many the queue has.
        names: the names of message types.
        publish: writes drafts to the partitions that they belong to, all or none.
    """

    def __init__(self, number: int, partitions: int, names: TypeNames, publish: Callable[[list[Draft]], None]) -> None:
        self._number = number
        self._partitions = partitions
        self._names = names
        self._publish = publish
        self._lock = lock_of(self, "_lock")

    def id_for(self, parent: Parent, message: Any, options: Mapping[str, Any]) -> str | None:
        """See `perdure.actors.workers.gates.gate.Children.id_for`."""
        label = options.get("group")
        label = options.get("key") if label is None else label
        if options.get("id") is not None or not isinstance(label, str):
            return None
        partition = of_text(label, self._partitions)
        if partition == self._number:
            return None
        with self._lock:
            parent.sent_away = n = parent.sent_away + 1
        return derived_id(parent.id, n, self._names.name(type(message)), label, partition)

    def away(self, drafts: Sequence[Draft]) -> list[Draft]:
        """See `perdure.actors.workers.gates.gate.Children.away`."""
        return [draft for draft in drafts if self._partition_of(draft) != self._number]

    def _partition_of(self, draft: Draft) -> int:
        label = draft.key if draft.group is None else draft.group
        return of_id(draft.id, self._partitions) if label is None else of_text(label, self._partitions)

    def send(self, drafts: list[Draft]) -> None:
        """See `perdure.actors.workers.gates.gate.Children.send`."""
        self._publish(drafts)
