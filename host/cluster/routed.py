"""Publishing, results and consuming by hand over all partitions: each request goes to its partition's owner.

`routing` computes the partition, `partition_access` finds its owner, `sums` adds up over all partitions.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.actors.core.clock import mark_us
from perdure.actors.sessions.crossing import OBJECTS
from perdure.actors.sessions.framing.moments import as_sent
from perdure.cluster.draining import Draining
from perdure.cluster.routing import of_id, of_text
from perdure.events.commands import AwaitResult, Cancel, DraftRun, LookUp, Publish
from perdure.events.errors import InvalidMessage, NotRunning, PerdureError, PublishTimeout, StoreUnavailable
from perdure.events.keyword_options import shows
from perdure.events.publish_options import DEFAULTS, PublishOptions
from perdure.handling.consuming import Consuming
from perdure.publishing.publish_future import PublishFuture
from perdure.publishing.publisher import SLACK_S
from perdure.publishing.results import Results
from perdure.runtime.asking import ASK_TIMEOUT_S
from perdure.store import AppendInDoubt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Unpack

    from perdure.cluster.partition_access import Partition, PartitionAccess
    from perdure.cluster.routing import PartitionIds
    from perdure.events.commands import Draft
    from perdure.events.vocabulary import ResultKept
    from perdure.handling.manual_delivery import Delivery
    from perdure.publishing.confirming import Confirm
    from perdure.store.postgres.spread_ingress import SpreadIngress

__all__ = ["Routed", "SpreadIds"]

RETRY_S = 0.05


class SpreadIds:
    """Makes the ids of messages without group and key: of one partition after the other; those of a batch are of one. As `Ids`."""

    def __init__(self, by_partition: list[PartitionIds]) -> None:
        self.by_partition = by_partition
        self._next = itertools.count(int(time.time_ns()) % len(by_partition))

    def _one_of(self) -> PartitionIds:
        return self.by_partition[next(self._next) % len(self.by_partition)]

    def one(self) -> str:
        """See `Ids.one`."""
        return self._one_of().one()

    def run(self, n: int) -> Any:
        """See `Ids.run`."""
        return self._one_of().run(n)


class Routed(Draining, Results, Consuming):
    """The part of a cluster that publishes, waits for results and consumes by hand."""

    count: int
    """Partitions of the queue."""
    _access: PartitionAccess
    _ids: SpreadIds
    _spread: SpreadIngress
    _confirm: Confirm
    """What a publish waits for: see `Confirm`."""
    _mine: Callable[[], list[int]]
    """Returns the partitions that run in this process."""

    # --- publishing --------------------------------------------------------------------------------------------------------

    def _draft(self, message: Any, options: Mapping[str, Any]) -> Draft:
        """Check and encode a message; an id that is made here leads to the partition of its group or key."""
        label = options.get("group")
        label = options.get("key") if label is None else label
        if isinstance(label, str) and options.get("id") is None:
            options = {**options, "id": self._ids.by_partition[of_text(label, self.count)].one()}
        return super()._draft(message, options)

    def _partition_of(self, draft: Draft) -> int:
        label = draft.key if draft.group is None else draft.group
        return of_id(draft.id, self.count) if label is None else of_text(label, self.count)

    def _by_partition(self, publish: Publish) -> dict[int, list[Draft] | DraftRun]:
        drafts = publish.drafts
        if isinstance(drafts, DraftRun):
            return {of_id(drafts.ids[0], self.count): drafts}
        parts: dict[int, list[Draft]] = {}
        for draft in drafts:
            parts.setdefault(self._partition_of(draft), []).append(draft)
        return {**parts}

    def _publish(self, publish: Publish, _meanwhile: Callable[[], None] = lambda: None) -> None:
        parts = self._by_partition(publish)
        if len(parts) == 1:
            self._access.through(next(iter(parts)), _Once(publish))
        elif parts and self._confirm == "owner":
            raise InvalidMessage(
                f"publish_many: these messages belong to {len(parts)} partitions, whose owners cannot take them in one commit; "
                "with confirm='owner', publish those of one key or group at a time, or such without either"
            )
        elif parts:
            self._publish_spread(parts)

    def _publish_spread(self, parts: Mapping[int, list[Draft] | DraftRun], *, is_of_handler: bool = False) -> None:
        """Write drafts into the ingress of each of their partitions, all or none, whatever processes own these."""
        ahead_us = self.drafts.ahead_us
        bodies = {number: OBJECTS.packed(as_sent(Publish([*drafts]), ahead_us)) for number, drafts in parts.items()}
        until_s = time.monotonic() + self.options.publish_timeout_s + SLACK_S
        is_in_doubt = False
        while True:
            if not is_of_handler:
                self._check_running()
            try:
                self._spread.add(bodies, mark_us(self.drafts.clock))
            except (AppendInDoubt, ConnectionError) as error:
                is_in_doubt = is_in_doubt or isinstance(error, AppendInDoubt)
                if time.monotonic() < until_s:
                    time.sleep(RETRY_S)
                    continue
                if not is_in_doubt:
                    raise StoreUnavailable(f"{error} Nothing was published.") from error
                ids = tuple(draft.id for drafts in parts.values() for draft in drafts)
                msg = "the database did not answer: published or not; publish again under the same ids"
                raise PublishTimeout(msg, ids) from error
            return

    def publish_drafts(self, drafts: list[Draft]) -> None:
        """Publish drafts, as rows for their partitions in one commit of the database. For the outbox, which has checked them.

        Raises:
            As `publish_many` of several partitions. What an owner refuses becomes a dead letter.
        """
        self._publish_spread(self._by_partition(Publish(drafts)))

    def _publish_children(self, drafts: list[Draft]) -> None:
        """As `publish_drafts`, for handlers, which may publish while the cluster stops."""
        self._publish_spread(self._by_partition(Publish(drafts)), is_of_handler=True)

    def _submit(self, message: Any, options: PublishOptions, *, may_block: bool) -> PublishFuture[str]:
        ident, publish = self._command(message, options)
        future: PublishFuture[str] = PublishFuture(ident)
        (number,) = self._by_partition(publish)
        self._pass(number, publish, future, may_block=may_block)
        return future

    def _pass(self, number: int, publish: Publish, future: PublishFuture[str], *, may_block: bool) -> None:
        """Send a publish to its partition's owner, and the answer to a future; if that owner stops, send it to the next one."""
        self._check_running()
        partition = self._access.at(number)
        inner: PublishFuture[None] = PublishFuture()
        inner.add_done_callback(partial(self._passed, number, publish, future, partition))
        try:
            partition.inner.check_running()
            partition.inner.room(may_block).send("queue", publish, inner)
        except NotRunning as error:
            self._again(number, publish, future, partition, error)

    def _passed(
        self, number: int, publish: Publish, future: PublishFuture[str], partition: Partition, inner: PublishFuture[None]
    ) -> None:
        error = inner.exception()
        if error is None:
            future.resolve(None)
        elif isinstance(error, NotRunning):
            self._again(number, publish, future, partition, error)
        else:
            future.reject(error)

    def _again(self, number: int, publish: Publish, future: PublishFuture[str], partition: Partition, error: BaseException) -> None:
        """Send a publish again after its owner has stopped: through the database, where it waits for the next owner."""
        client = self._access.client(number)
        try:
            self._check_running()
            if partition is client:
                raise error
            client.inner.pending().send("queue", Publish(publish.drafts), future)
        except PerdureError as refused:
            future.reject(refused)

    @shows(PublishOptions, defaults=DEFAULTS)
    async def asubmit(self, message: Any, **options: Unpack[PublishOptions]) -> asyncio.Future[str]:
        """As `submit`, from a coroutine; return a future to await for the id. Does not block the event loop.

        Raises:
            As `submit`.
        """
        ident, publish = self._command(message, options)
        future: PublishFuture[str] = PublishFuture(ident)
        (number,) = self._by_partition(publish)
        partition = self._access.at(number)
        await partition.inner.pending().await_room(self.options.pipeline_max, self.options.publish_timeout_s)
        self._pass(number, publish, future, may_block=False)
        return asyncio.wrap_future(future)

    # --- one message -------------------------------------------------------------------------------------------------------

    def _home(self, ident: str) -> int:
        """Return the partition of a message."""
        return self._access.home_of(ident)

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Return the answer of the owner of the one message that a command is about.

        Raises:
            PerdureError: the command is about more than one message.
        """
        if not isinstance(command, LookUp | Cancel | AwaitResult):
            raise PerdureError(f"ask: a {type(command).__name__} is for one partition; ask by `cluster.partition(number)`")
        ident: str = command.id
        number = self._home(ident)
        return self._access.through(number, lambda partition: partition.ask(actor, command, timeout_s=timeout_s))

    def _wait_or_look(self, ident: str, timeout: float | None) -> ResultKept:
        number = self._home(ident)
        return self._access.through(number, lambda partition: partition.inner.wait_or_look(ident, timeout))

    async def _aanswer(self, command: object, *, is_long_wait: bool = False) -> Any:
        ident: str = command.id  # type: ignore[attr-defined] # of a message
        number = await asyncio.to_thread(self._home, ident)
        while True:
            partition = self._access.at(number)
            try:
                return await partition.inner.answer(command, is_long_wait=is_long_wait)
            except NotRunning:
                self._check_running()
                await asyncio.sleep(RETRY_S)

    def _exception_of(self, ident: str) -> BaseException | None:
        for partition in self._here():
            raised = partition.inner.exception_of(ident)
            if raised is not None:
                return raised
        return None

    def _here(self) -> Iterator[Partition]:
        yield from (self._access.at(number) for number in self._mine())

    # --- by hand -----------------------------------------------------------------------------------------------------------

    def _checkout(self, name: str, lease: float, retries: int | None) -> Delivery[Any] | None:
        """As `System.checkout`. The partitions of this process come first, then those of others.

        A delivery belongs to the process that owns its partition at that moment. If that stops, `ack` raises `NotRunning`, and the
        message is delivered again.
        """
        mine = self._mine()
        others = [number for number in range(self.count) if number not in mine]
        for number in (*mine, *others):
            found = self._access.through(number, lambda partition: partition._checkout(name, lease, retries))  # noqa: SLF001 - part of the front door
            if found is not None:
                return found
        return None


class _Once:
    """A publish that may be tried at several owners. Only the first try may treat its ids as new."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def __call__(self, partition: Partition) -> None:
        publish, self._publish = self._publish, Publish(self._publish.drafts)
        partition.inner.publish(publish)
