"""Deliveries on their way from the owner to a member, and their outcomes on the way back: how each is put in a frame.

Plain messages go in stretches of consecutive numbers, and their completions as numbers; everything else one by one.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.sessions.framing.objects import BadObject
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events.commands import Done, ExpireLease, Fail, Release
from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import LeaseBatch, MessageBlock
from perdure.events.vocabulary import Leased, Published

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from perdure.actors.core.messages import Outcomes
    from perdure.actors.sessions.framing.objects import Objects

__all__ = ["REPORTS", "Reported", "rows_of", "taken", "worded"]

REPORTS = (Done, Fail, Release, ExpireLease)
"""What a member may report of a delivery."""


@attrs.frozen
class Reported:
    """Outcomes of deliveries: the numbers of plain messages that are completed, and the others one by one."""

    done: list[int]
    reports: list[Any]


def worded(outcomes: Outcomes, handed: Container[object], withdrawn: Mapping[int, Any]) -> Reported:
    """Return outcomes as they cross.

    Numbers stand for deliveries that the owner knows to be here. So an outcome of a delivery that came over an earlier connection
    (not among the lease batches `handed` over by this one), or that was `withdrawn` (by number), crosses with id and attempt: the
    rules then decide whether it still counts.
    """
    run = outcomes.done
    if run is None:
        return Reported([], outcomes.reports)
    is_known = all(lease_batch in handed for lease_batch in set(run.lease_batches))
    if is_known and (not withdrawn or withdrawn.keys().isdisjoint(run.numbers)):
        return Reported(run.numbers, outcomes.reports)
    return Reported([], [*run.each(), *outcomes.reports])


def rows_of(deliveries: Sequence[WorkerDelivery], objects: Objects) -> tuple[list[Any], list[bytes]]:
    """Return deliveries of one type as rows: stretches of plain ones, and all others as objects."""
    plain: list[Any] = []
    single: list[bytes] = []
    i = 0
    while i < len(deliveries):
        delivery = deliveries[i]
        lease = delivery.lease
        if not isinstance(lease, LeaseBatch):
            single.append(objects.packed((lease, delivery.published)))
            i += 1
            continue
        first, end = delivery.number, i + 1
        while end < len(deliveries) and deliveries[end].lease is lease and deliveries[end].number == first + end - i:
            end += 1
        ids = _ids(lease.block, first, end - i)
        payloads = [each.payload for each in deliveries[i:end]]
        plain.append([first, lease.until_us, lease.retries, lease.prefetched, objects.packed(ids), payloads])
        i = end
    return plain, single


def _ids(block: MessageBlock, first: int, n: int) -> Sequence[str]:
    at = block.position(first)
    for offset, ids in reversed(block.chunks):
        if at >= offset:
            part = ids[at - offset : at - offset + n]
            if len(part) == n:
                return part
            break
    return [block.id_of(at + i) for i in range(n)]


def taken(type_name: str, plain: Iterable[Any], single: Iterable[Any], object_of: Callable[[bytes], Any]) -> list[WorkerDelivery]:
    """Return the deliveries that rows stand for.

    Raises:
        BadObject, ValueError, TypeError: they stand for none.
    """
    found: list[WorkerDelivery] = []
    for first, until_us, retries, prefetched, ids_body, payloads in plain:
        ids = object_of(ids_body)
        if not isinstance(ids, (IdRun, list)) or len(ids) != len(payloads):
            msg = "deliveries without ids"
            raise BadObject(msg)
        block = MessageBlock(first, type_name)
        block.add(first, ids, payloads, 0)
        lease = LeaseBatch(block, until_us, retries, prefetched, block.numbers, len(payloads))
        found += map(WorkerDelivery, block.numbers, repeat(lease), payloads)
    for body in single:
        lease_of_it, published = object_of(body)
        if not isinstance(lease_of_it, Leased) or not isinstance(published, Published):
            msg = "a malformed delivery"
            raise BadObject(msg)
        found.append(WorkerDelivery(published.number, lease_of_it, published.payload, published))
    return found
