"""Publishing: one message or many, waiting for the disk or not, from a thread or a coroutine.

`drafts` checks and encodes a message first. The queue decides whether to accept it (`perdure.events.queue.admission.publishing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.arguments.moments import WrongType
from perdure.events.commands import Draft, DraftRun, Publish
from perdure.events.errors import InvalidMessage, PayloadTooLarge, PublishTimeout
from perdure.events.keyword_options import shows
from perdure.events.publish_options import DEFAULTS, PublishManyOptions, PublishOptions
from perdure.events.seconds import shown
from perdure.publishing.publish_future import PublishFuture
from perdure.runtime.asking import Asking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from typing import Unpack

    from perdure.actors.requests.pending import PendingRequests
    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = ["Publishing"]

SLACK_S = 5.0
"""Seconds that a publish waits for its answer beyond the time that it may wait for room in the backlog."""


def _nothing() -> None:
    """Do nothing."""


class Publishing(Asking):
    """The part of `System` that publishes messages."""

    options: Options
    drafts: Drafts

    @shows(PublishOptions, defaults=DEFAULTS)
    def publish(self, message: Any, **options: Unpack[PublishOptions]) -> str:
        """Publish one message; return its id once it is on disk (as durable as `Options.durability` says).

        Waits while the backlog is full, at most `Options.publish_timeout_s`.

        Args:
            message: an object of a message class.
            options:
                key: deduplicates: a live message with the same type and key is replaced, unless `dedup` says otherwise.
                id: makes publishing idempotent: a message with a known id adds nothing.
                correlation_id: what all messages of one chain share; the message's id unless given.
                delay: seconds until the message may be handled. Or `at`: an aware datetime, or seconds since the epoch.
                priority: from -1000 to 1000; higher comes first.
                ttl: seconds after which a message that still waits expires.
                group: messages of one group are handled in order, one at a time.
                headers: text by text, for the handler's context.
                dedup: `replace`, `reject` or `append`, as `handler`, for this message. Needs a key.
                dedup_window: seconds for which the key is held after completion, as `handler`, for this message. Needs a key.
                debounce: seconds; of a burst of messages with one key only the last is handled, so long after it. Needs a key.
                keep_result: seconds for which what the handler returns is kept for `result`.
                subject: the person or thing that the message is about, for example a customer's number; recorded and searchable.

        Raises:
            NotRunning: before start or after stop; nothing was published.
            InvalidMessage, PayloadTooLarge, UnknownMessageType: names the field; nothing was published.
            DuplicateKey: the key is held and its policy is `reject`; nothing was published.
            QueueFull: the backlog stayed at its bound; nothing was published.
            StoreUnavailable: the disk does not take it; nothing was published.
            NotAllowed: within `acting_as`, and from another process: the system's `authorize` refuses it; nothing was published.
            PublishTimeout: no answer in time. The message may have been published; publish the same `id` again to settle it.
        """
        if self.drafts.send is not None:
            sent: str = self.drafts.send((message,), partial(self._publish_one, message, options))
            return sent
        ident, publish = self._command(message, options)
        self._publish(publish)
        return ident

    def _publish_one(self, message: Any, options: PublishOptions) -> str:
        """As `publish`, inside the middleware that sees the whole call."""
        ident, publish = self._command(message, options)
        self._publish(publish)
        return ident

    @shows(PublishManyOptions, defaults=DEFAULTS)
    def publish_many(
        self,
        messages: Iterable[Any],
        *,
        keys: Iterable[str | None] | None = None,
        ids: Iterable[str | None] | None = None,
        **options: Unpack[PublishManyOptions],
    ) -> list[str]:
        """Publish messages in one atomic commit, all or none; return their ids in order.

        Args:
            messages: any number that fits into `Options.batch_max` and `batch_bytes_max`.
            keys: a key for each message, in order; None for one without.
            ids: an id for each message, in order; None where perdure shall make one. A known id adds nothing, and of messages with
                the same id the first counts.
            options: those of `publish`, except `key` and `id`; they apply to each message.

        Raises:
            As `publish`. InvalidMessage and TypeError: an argument is not a list, has no order, or has another length.
        """
        batch = _in_order("messages", "messages; `publish` takes a single one", messages)
        each = _one_each(len(batch), options, {"key": keys, "id": ids})
        if self.drafts.send is not None:
            sent: list[str] = self.drafts.send(batch, lambda: self._publish_batch(batch, each, options))
            return sent
        return self._publish_batch(batch, each, options)

    def _publish_batch(self, batch: list[Any], each: list[dict[str, Any]] | None, options: Mapping[str, Any]) -> list[str]:
        """Publish messages in one commit; `each` has the options that belong to single messages."""
        if each is not None:
            drafts: Sequence[Draft] | DraftRun = [
                self._draft(message, {**options, **own}) for message, own in zip(batch, each, strict=True)
            ]
        elif options or not batch:
            drafts = [self._draft(message, options) for message in batch]
        else:
            self._check_running()
            drafts = self.drafts.plain(batch)
        size = drafts.payload_bytes() if isinstance(drafts, DraftRun) else sum(len(draft.payload) for draft in drafts)
        if len(drafts) > self.options.batch_max or size > self.options.batch_bytes_max:
            msg = (
                f"messages: {len(drafts):,} of {size:,} bytes are more than one commit takes ({self.options.batch_max:,} "
                f"messages, {self.options.batch_bytes_max:,} bytes). Publish them in several calls."
            )
            raise PayloadTooLarge(msg)
        if isinstance(drafts, DraftRun):
            ids: list[str] = []
            self._publish(Publish(drafts, fresh=True), partial(ids.extend, drafts.ids))
            return ids or list(drafts.ids)
        if drafts:
            self._publish(Publish(drafts))
        return [draft.id for draft in drafts]

    @shows(PublishOptions, defaults=DEFAULTS)
    def submit(self, message: Any, **options: Unpack[PublishOptions]) -> Future[str]:
        """Publish without waiting for the disk; return a future of the id, which raises what `publish` would.

        Takes the options of `publish`. Waits only while `Options.pipeline_max` publishes are under way. The future's callbacks run
        in a thread of the system (or of the client), must be quick, and must not wait for the system. Cancelling the future does
        not take the message back.

        Raises:
            NotRunning, InvalidMessage and its subclasses: as `publish`, at once.
            QueueFull: `Options.pipeline_max` publishes stayed without an answer; nothing was published.
        """
        # No lambda here and in `publish`: a function whose variables one refers to is slower, even where it makes none.
        if self.drafts.send is not None:
            sent: Future[str] = self.drafts.send((message,), partial(self._submit, message, options, may_block=True))
            return sent
        return self._submit(message, options, may_block=True)

    def _submit(self, message: Any, options: PublishOptions, *, may_block: bool) -> PublishFuture[str]:
        self._check_running()
        plain = None if options else self.drafts.encoded(message)
        future: PublishFuture[str]
        if plain is None:
            ident, publish = self._command(message, options)
            future = PublishFuture(ident)
            self._room(may_block).send("queue", publish, future)
        else:
            type_name, payload = plain
            future = PublishFuture()
            self._room(may_block).submit(type_name, payload, future, self.drafts.ids.run)
        return future

    def _room(self, may_block: bool) -> PendingRequests:  # noqa: FBT001 - hot
        """Return the pending requests once they have room for another; a caller that may not block has awaited the room before."""
        pending = self._pending
        if may_block:
            pending.wait_for_room(self.options.pipeline_max, self.options.publish_timeout_s)
        return pending

    @shows(PublishOptions, defaults=DEFAULTS)
    async def apublish(self, message: Any, **options: Unpack[PublishOptions]) -> str:
        """As `publish`, from a coroutine; does not block the event loop.

        Raises:
            As `publish`. A cancelled await may have published.
        """
        return await (await self.asubmit(message, **options))

    @shows(PublishOptions, defaults=DEFAULTS)
    async def asubmit(self, message: Any, **options: Unpack[PublishOptions]) -> asyncio.Future[str]:
        """As `submit`, from a coroutine; return a future to await for the id. Does not block the event loop.

        Raises:
            As `submit`.
        """
        check_may_wait()
        await self._ready()
        await self._pending.await_room(self.options.pipeline_max, self.options.publish_timeout_s)
        if self.drafts.send is not None:
            return asyncio.wrap_future(self.drafts.send((message,), lambda: self._submit(message, options, may_block=False)))
        return asyncio.wrap_future(self._submit(message, options, may_block=False))

    def publish_drafts(self, drafts: list[Draft]) -> None:
        """Publish drafts in one commit; for the outbox, whose messages were checked and encoded before.

        Raises:
            As `publish`.
        """
        self._check_running()
        self._publish(Publish(drafts))

    def _command(self, message: Any, options: PublishOptions) -> tuple[str, Publish]:
        """Make the command that publishes one message and its id."""
        if options:
            draft = self._draft(message, options)
            return draft.id, Publish([draft])
        self._check_running()
        drafts = self.drafts.one(message)
        if isinstance(drafts, DraftRun):
            return drafts.ids[0], Publish(drafts, fresh=True)
        return drafts[0].id, Publish(drafts)

    def _draft(self, message: Any, options: Mapping[str, Any]) -> Draft:
        self._check_running()
        return self.drafts.draft(message, **options)

    def _publish(self, publish: Publish, meanwhile: Callable[[], None] = _nothing) -> None:
        """Publish. `meanwhile` is called while another process works on it; here it would hold up the actors that do."""
        pending, answer = self._pending_and_answer()
        request = pending.send("queue", publish, answer)
        try:
            if answer.is_made_elsewhere:
                meanwhile()
            answer.wait(self.options.publish_timeout_s + SLACK_S)
        except PublishTimeout:
            raise  # the queue's own answer: there is nothing more to learn
        except TimeoutError:
            pending.forget(request)
            ids = tuple(draft.id for draft in publish.drafts)
            msg = (
                f"no answer within {self.options.publish_timeout_s + SLACK_S:g} s: {len(ids)} message(s) may or may not be "
                f"published. Publish again with the same id to settle it (the first is {ids[0]}); see `.ids`."
            )
            raise PublishTimeout(msg, ids) from None


def _in_order(name: str, what: str, given: Any) -> list[Any]:
    """Return a list of the given items.

    Raises:
        WrongType: it is a single item, or a collection without order.
    """
    if isinstance(given, (str, bytes, Mapping, AbstractSet)) or not isinstance(given, Iterable):
        msg = f"{name}: a list of {what}, not {shown(given)}"
        raise WrongType(msg)
    return list(given)


def _one_each(count: int, options: Mapping[str, Any], lists: dict[str, Iterable[str | None] | None]) -> list[dict[str, Any]] | None:
    """Return the options that belong to single messages, for each message; None where there are none.

    Raises:
        InvalidMessage: a list is longer or shorter than the messages or has no order, or one value is given for all messages.
    """
    for name in lists:
        if options.get(name) is not None:
            why = "only the last one of them would be left" if name == "key" else "it can name only one of them"
            msg = f"{name}: one for all {count} messages cannot be, {why}; give {name}s=[...], one for each"
            raise InvalidMessage(msg)
    each: list[dict[str, Any]] | None = None
    for name, given in lists.items():
        if given is None:
            continue
        own = _in_order(f"{name}s", "one for each message, in order", given)
        if len(own) != count:
            msg = f"{name}s: one for each of {count} messages, in order, not {len(own)}"
            raise InvalidMessage(msg)
        each = [{} for _ in own] if each is None else each
        for options_of_one, value in zip(each, own, strict=True):
            options_of_one[name] = value
    return each
