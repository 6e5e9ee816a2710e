"""Bulk acts on all partitions of a queue: counted in each, begun in each, and waited for together.

One act in one partition is in `perdure.operations.bulk`. Each partition's log has its own plan, so each goes on by itself.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.labels import check_label
from perdure.cluster.acts.of_all import OfAll
from perdure.cluster.routing import search_order
from perdure.events.errors import UnknownMessage
from perdure.events.public_names import public
from perdure.events.seconds import wait_seconds
from perdure.operations.bulk.bulk_act import LOOK_FIRST_S, LOOK_LAST_S, found_bulk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.cluster.acts.of_all import Partitioned
    from perdure.cluster.partition_access import Partition
    from perdure.operations.bulk.acts_where import ActsWhere
    from perdure.operations.bulk.bulk_act import BulkAct
    from perdure.operations.bulk.cancels_where import CancelsWhere
    from perdure.operations.bulk.counted import CountedLetters, CountedMessages

__all__ = ["ActsEverywhere", "BulkActs", "CancelsEverywhere", "CountedEverywhere"]


@public
@attrs.frozen
class CountedEverywhere:
    """Counts of what an expression selected in all partitions of a queue; a bulk act with them changes nothing else."""

    where: str
    by_partition: dict[int, CountedLetters] | dict[int, CountedMessages]
    """The count of each partition."""
    gone: int = 0
    """How many more were counted before and have changed or ended since."""

    @property
    def count(self) -> int:
        """How many messages the expression selected when they were counted."""
        return sum(one.count for one in self.by_partition.values()) + self.gone

    @property
    def by_type(self) -> dict[str, int]:
        """How many there were of each type of message."""
        found = Counter[str]()
        for one in self.by_partition.values():
            found.update(one.by_type)
        return dict(found)


@public
@attrs.frozen
class BulkActs:
    """A bulk act on all partitions of a queue: an act in each that had anything to act on."""

    action: str
    """As `BulkAct.action`."""
    where: str
    by_partition: dict[int, BulkAct]
    gone: int = 0
    """See `CountedEverywhere.gone`."""

    @property
    def counted(self) -> int:
        """How many messages the expression selected when they were counted."""
        return sum(act.counted for act in self.by_partition.values()) + self.gone

    @property
    def changed(self) -> int:
        """How many of these were changed so far."""
        return sum(act.changed for act in self.by_partition.values())

    @property
    def passed_over(self) -> int:
        """How many are still dead; see `BulkAct.passed_over`."""
        return sum(act.passed_over for act in self.by_partition.values())

    @property
    def is_over(self) -> bool:
        """Whether the act is over in all partitions."""
        return all(act.is_over for act in self.by_partition.values())

    @property
    def outcome(self) -> str:
        """Why the act was stopped before its end, with the partitions; empty if it was not."""
        return "; ".join(f"partition {number}: {act.outcome}" for number, act in self.by_partition.items() if act.outcome)

    @property
    def changed_meanwhile(self) -> int:
        """How many of these had changed or ended before the act reached them; 0 until it is over."""
        return max(0, self.counted - self.changed - self.passed_over) if self.is_over else 0


class CancelsEverywhere(OfAll):
    """Cancels the messages that an expression selects, in all partitions; as `CancelsWhere` in one."""

    def count_where(self, where: str, *, upto: Mapping[int, int] | None = None) -> CountedEverywhere:
        """Return how many waiting or running messages an expression selects in all partitions: the dry run of `cancel_where`.

        Args:
            where: as `Admin.count_where`.
            upto: by partition, up to which number of a message is counted, as returned by an earlier count.

        Raises:
            As `Admin.count_where`.
        """
        return _counted(self._cluster, lambda partition: partition.admin, where, upto)

    def cancel_where(
        self,
        where: str | CountedEverywhere,
        *,
        timeout: float | None = None,
        progress: Callable[[BulkActs], object] | None = None,
        id: str | None = None,
    ) -> BulkActs:
        """Cancel the messages that an expression selects in all partitions, and wait until it is done; as `Admin.cancel_where`.

        If a partition cannot be reached, the others have begun: call again with what was counted.

        Args:
            where: an expression, or what `count_where` returned for it: then messages published since are left alone.
            timeout: seconds to wait; the acts go on after that. None: wait to the end.
            progress: called with the act repeatedly while it goes on.
            id: the act's id in each partition. A partition that has an act with this id does not begin it again; the others do.

        Raises:
            As `Admin.cancel_where`.
        """
        counted = where if isinstance(where, CountedEverywhere) else self.count_where(where)

        def begin(one: Any, partition: Partition) -> BulkAct:
            return partition.admin.cancel_where(one, timeout=0.0, id=id)

        return _carried_out(self._cluster, "cancel", counted, begin, timeout, progress, id)


class ActsEverywhere(OfAll):
    """Acts on the dead letters that an expression selects, in all partitions; as `ActsWhere` in one."""

    def count_where(self, where: str, *, upto: Mapping[int, int] | None = None) -> CountedEverywhere:
        """Return how many dead letters an expression selects in all partitions: the dry run of a bulk act.

        Args:
            where: as `DeadLetters.count_where`.
            upto: by partition, up to which sequence number is counted, as returned by an earlier count.

        Raises:
            As `DeadLetters.count_where`.
        """
        return _counted(self._cluster, lambda partition: partition.dead_letters, where, upto)

    def replay_where(
        self,
        where: str | CountedEverywhere,
        *,
        reset_retries: bool = True,
        timeout: float | None = None,
        progress: Callable[[BulkActs], object] | None = None,
        id: str | None = None,
    ) -> BulkActs:
        """Return the dead letters that an expression selects to their queues, and wait until it is done.

        As `DeadLetters.replay_where` in each partition. If one cannot be reached, the others have begun: call again with what was
        counted, which replays nothing twice. With an `id`, a partition that has an act with this id does not begin it again.

        Raises:
            As `DeadLetters.replay_where`.
        """

        def begin(one: Any, partition: Partition) -> BulkAct:
            return partition.dead_letters.replay_where(one, reset_retries=reset_retries, timeout=0.0, id=id)

        return self._act("replay", where, begin, timeout, progress, id)

    def edit_where(
        self,
        where: str | CountedEverywhere,
        changes: Mapping[str, Any],
        *,
        reset_retries: bool = True,
        timeout: float | None = None,
        progress: Callable[[BulkActs], object] | None = None,
        id: str | None = None,
    ) -> BulkActs:
        """As `replay_where`, with values set in each payload; see `DeadLetters.edit_where`.

        Raises:
            As `DeadLetters.edit_where`.
        """

        def begin(one: Any, partition: Partition) -> BulkAct:
            return partition.dead_letters.edit_where(one, changes, reset_retries=reset_retries, timeout=0.0, id=id)

        return self._act("edit", where, begin, timeout, progress, id)

    def purge_where(
        self,
        where: str | CountedEverywhere,
        *,
        timeout: float | None = None,
        progress: Callable[[BulkActs], object] | None = None,
        id: str | None = None,
    ) -> BulkActs:
        """Remove the dead letters that an expression selects, for good; else as `replay_where`.

        Raises:
            As `DeadLetters.purge_where`.
        """

        def begin(one: Any, partition: Partition) -> BulkAct:
            return partition.dead_letters.purge_where(one, timeout=0.0, id=id)

        return self._act("purge", where, begin, timeout, progress, id)

    def bulk(self, id: str) -> BulkAct:
        """Return the bulk act of one partition as it stands now; as `DeadLetters.bulk`.

        Raises:
            UnknownMessage: no partition has an act with this id.
        """
        for number in search_order(id, self._cluster.count):
            try:
                act: BulkAct = self._cluster.through(number, lambda partition: partition.dead_letters.bulk(id))
            except UnknownMessage:
                continue
            return act
        raise UnknownMessage(f"no bulk act has the id {id!r} in any partition; `dead_letters.bulks()` shows those that are known")

    def bulks(self) -> dict[int, list[BulkAct]]:
        """Return the bulk acts that each partition has on record, by its number; as `DeadLetters.bulks`."""
        return dict(enumerate(self._each(lambda partition: partition.dead_letters.bulks())))

    def _act(
        self,
        action: str,
        where: str | CountedEverywhere,
        begin: Callable[[Any, Partition], BulkAct],
        timeout: float | None,
        progress: Callable[[BulkActs], object] | None,
        ident: str | None,
    ) -> BulkActs:
        counted = where if isinstance(where, CountedEverywhere) else self.count_where(where)
        return _carried_out(self._cluster, action, counted, begin, timeout, progress, ident)


def _counted(
    cluster: Partitioned, part: Callable[[Partition], ActsWhere | CancelsWhere], where: str, upto: Mapping[int, int] | None
) -> CountedEverywhere:
    """Return the count of each partition; 0 for one that `upto` does not name."""
    most = dict.fromkeys(range(cluster.count)) if upto is None else {n: upto.get(n, 0) for n in range(cluster.count)}
    return CountedEverywhere(where, cluster.each({n: partial(_counted_in, part, where, one) for n, one in most.items()}))


def _carried_out(
    cluster: Partitioned,
    action: str,
    counted: CountedEverywhere,
    begin: Callable[[Any, Partition], BulkAct],
    timeout: float | None,
    progress: Callable[[BulkActs], object] | None,
    ident: str | None,
) -> BulkActs:
    """Begin an act in each partition that has anything to act on, or has the act already; wait until all are over."""
    if ident is not None:
        check_label("id", ident)
    wait_s = wait_seconds("timeout", timeout)
    until_s = None if wait_s < 0 else time.monotonic() + wait_s
    begun = cluster.each({n: partial(_begun_in, begin, one, ident) for n, one in counted.by_partition.items()}, is_act=True)
    acts: dict[int, BulkAct] = {number: act for number, act in begun.items() if act is not None}
    pause_s = LOOK_FIRST_S
    while True:
        whole = BulkActs(action, counted.where, dict(acts), counted.gone)
        if progress is not None:
            progress(whole)
        if whole.is_over or (until_s is not None and time.monotonic() >= until_s):
            return whole
        time.sleep(pause_s)
        pause_s = min(LOOK_LAST_S, 2 * pause_s)
        acts |= cluster.each({number: partial(found_bulk, ident=act.id) for number, act in acts.items() if not act.is_over})


def _counted_in(part: Callable[[Partition], ActsWhere | CancelsWhere], where: str, upto: int | None, partition: Partition) -> Any:
    return part(partition).count_where(where, upto=upto)


def _begun_in(begin: Callable[[Any, Partition], BulkAct], one: Any, ident: str | None, partition: Partition) -> BulkAct | None:
    """Begin an act in a partition; return None if there is nothing to act on, and no act with that id."""
    return begin(one, partition) if one.count or (ident is not None and _is_known(ident, partition)) else None


def _is_known(ident: str, partition: Partition) -> bool:
    try:
        found_bulk(partition, ident)
    except UnknownMessage:
        return False
    return True
