"""From a message and its options to a checked, encoded draft. Each bound is checked here, before anything is sent.

Decoding is in `stored_payloads`. Whether the queue accepts a draft is decided in `perdure.events.queue.admission.publishing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.clock import ahead_us
from perdure.arguments.labels import check_label, plain
from perdure.arguments.moments import moment_us
from perdure.events.commands import Draft, DraftRun
from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import no_such_option
from perdure.events.publish_options import DEDUP, PublishOptions
from perdure.events.seconds import LONGEST, SECONDS_MAX, checked_seconds, shown, whole_us
from perdure.events.vocabulary import Extras
from perdure.middleware import are_idle, around_publish, around_receive, around_send, around_settle
from perdure.payloads.fidelity import Fidelity
from perdure.payloads.type_names import name_of
from perdure.publishing.message_ids import made_us
from perdure.publishing.stored_payloads import StoredPayloads

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from perdure.actors.core.clock import Clock
    from perdure.events.vocabulary import Published
    from perdure.middleware import Middleware
    from perdure.options import Options
    from perdure.payloads.codecs import Codec
    from perdure.payloads.type_names import TypeNames
    from perdure.publishing.message_ids import Ids

__all__ = ["Drafts", "without_policy_where_unknown"]

HEADERS_MAX = 64
HEADER_CHARS_MAX = 8192
PRIORITY_MAX = 1000
OPTIONS_ELSEWHERE = {"timeout": "call", "keys": "publish_many", "ids": "publish_many"}
"""Options of calls that publish which are no options of a message; named where they may be meant."""
PLAIN_POLICY = ("replace", 0, 0)
PLAIN_EXTRAS = Extras()


class Drafts(StoredPayloads):
    """Encodes messages as drafts, and decodes payloads; the front door and the workers share it. Safe in any thread."""

    def __init__(
        self,
        names: TypeNames,
        codec: Codec,
        clock: Clock,
        ids: Ids,
        options: Options,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        super().__init__(names, codec, options)
        self.clock = clock
        self.ids = ids
        self.fidelity = Fidelity(codec, checks_values=options.check_messages)
        self._check_type = self.fidelity.check_type
        self.policies: dict[str, tuple[str, int, int]] = {}
        """By type, for messages with a key: deduplication policy, window in microseconds, messages of one key at once."""
        self.draft: Callable[..., Draft] = around_publish(middleware, self.make)
        """Check and encode one message with its options, through the middleware."""
        self.has_middleware = self.draft != self.make
        self.send = around_send(middleware)
        """Calls what publishes messages, through the middleware; None where none wants to see it."""
        self.receive = around_receive(middleware)
        """Calls what checks a message out, likewise."""
        self.settle = around_settle(middleware)
        """Calls what ends a delivery by hand, likewise."""
        self.middleware = tuple(middleware)

    def handled_class(self, cls: type) -> str:
        """Return the name of a class that is to have a handler.

        Raises:
            UnknownMessageType: it is not a class, or has no stable name.
            InvalidMessage: as `handled`.
        """
        if not isinstance(cls, type):
            return self.names.name(cls)
        name = self.handled(cls)
        self.names.keep(name, cls)
        return name

    def handled(self, kind: type | str) -> str:
        """Return the name of a type that a handler or a manual consumer takes; `kind` is the class, or its name.

        Raises:
            UnknownMessageType: as `TypeNames.name`.
            InvalidMessage: its messages cannot be decoded, so each would become a dead letter; names the field and its type.
        """
        if isinstance(kind, str):
            kind = plain(kind)
        cls = self.names.find(kind) if isinstance(kind, str) else kind
        if isinstance(cls, type):
            if not isinstance(kind, str):
                name_of(cls)
            self.fidelity.check_type(cls)  # before the name is taken, so that a refused class leaves nothing behind
        return self.names.of(kind)

    def make(
        self,
        message: Any,
        *,
        key: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        id: str | None = None,
        delay: float | None = None,
        at: dt.datetime | float | None = None,
        priority: int = 0,
        ttl: float | None = None,
        group: str | None = None,
        headers: Mapping[str, str] | None = None,
        dedup: str | None = None,
        dedup_window: float | None = None,
        debounce: float | None = None,
        keep_result: float | None = None,
        subject: str | None = None,
        **others: Any,
    ) -> Draft:
        """Return one message, checked and encoded.

        Raises:
            InvalidMessage, PayloadTooLarge, UnknownMessageType: names the field that is wrong, and what is allowed.
            TypeError: there is no such option.
        """
        if others:
            raise TypeError(no_such_option("publish", min(others), PublishOptions.__annotations__, OPTIONS_ELSEWHERE))
        type_name = self.names.name(type(message), self._check_type)
        ident = self.ids.one() if id is None else check_label("id", id)
        payload = self.fidelity.encode(message)
        if self._binds:
            payload = self.bound(payload, type_name, ident)
        if len(payload) > self.options.payload_bytes_max:
            self._check_size(type_name, payload)
        if key is not None:
            key = check_label("key", key)
        if debounce is not None:
            delay, dedup = _debounced(key, debounce, delay, at, dedup), "replace"
        policy, extras = None, None
        if key is not None or keep_result is not None or type_name in self.names.versions:
            policy, extras = self._extras(type_name, key, dedup, dedup_window, keep_result)
        elif dedup is not None or dedup_window is not None:
            msg = "dedup, dedup_window: they say what becomes of a message's key; give a key too"
            raise InvalidMessage(msg)
        if correlation_id is not None:
            correlation_id = check_label("correlation_id", correlation_id)
        if group is not None:
            group = check_label("group", group)
        if subject is not None:
            subject = check_label("subject", subject)
        if type(priority) is not int or not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
            msg = f"priority: a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}, not {shown(priority)}"
            raise InvalidMessage(msg)
        due_us = 0 if delay is None and at is None else self._due_us(delay, at)
        expires_us = 0
        if ttl is not None:
            expires_us = self.clock.now_us() + max(1, whole_us(checked_seconds("ttl", ttl)))
        pairs = None if headers is None else _headers(headers) or None
        return Draft(
            ident,
            type_name,
            payload,
            key,
            policy,
            correlation_id,
            causation_id,
            pairs,
            priority,
            due_us,
            expires_us,
            group,
            extras,
            subject,
        )

    def under_policy(self, draft: Draft) -> Draft:
        """Return a draft with a key, made in another process, under its handler's policy; options that it names are kept."""
        if draft.key is None:
            return draft
        policy, window_us, key_parallelism = self.policies.get(draft.type, PLAIN_POLICY)
        dedup, extras = draft.dedup or policy, draft.extras or PLAIN_EXTRAS
        is_label = dedup == "append"
        extras = extras._replace(
            window_us=0 if is_label else extras.window_us or window_us, key_parallelism=key_parallelism if is_label else 0
        )
        return draft._replace(dedup=dedup, extras=None if extras == PLAIN_EXTRAS else extras)

    def renamed(self, draft: Draft, type_name: str) -> Draft:
        """Return a draft under another type's name; a payload that is bound to the one type is bound to the other instead."""
        if not self._binds:
            return draft._replace(type=type_name)
        message = self._decode(draft.payload, None, draft.type, draft.id)
        return draft._replace(type=type_name, payload=self.bound(self.codec.encode(message), type_name, draft.id))

    def _extras(
        self, type_name: str, key: str | None, dedup: str | None, window: float | None, keep_result: float | None
    ) -> tuple[str | None, Extras | None]:
        """Return the deduplication policy, and the extras that few messages have."""
        policy, window_us, key_parallelism = given = self.policies.get(type_name, PLAIN_POLICY)
        if (
            given == PLAIN_POLICY
            and dedup is None
            and window is None
            and keep_result is None
            and type_name not in self.names.versions
        ):
            return None if key is None else policy, None  # as nearly always, and as below
        if dedup is not None:
            policy = plain(dedup) if isinstance(dedup, str) else None
            if policy not in DEDUP:
                msg = f"dedup: one of {', '.join(DEDUP)}, not {shown(dedup)}"
                raise InvalidMessage(msg)
            dedup, key_parallelism = policy, key_parallelism if dedup == "append" else 0
        if window is not None:
            window_us = whole_us(checked_seconds("dedup_window", window))
        if key is None or policy == "append":
            window_us = 0
        result_us = 0 if keep_result is None else max(1, whole_us(checked_seconds("keep_result", keep_result)))
        extras = Extras(self.names.versions.get(type_name, 1), window_us, key_parallelism if key is not None else 0, result_us)
        return None if key is None else policy, None if extras == PLAIN_EXTRAS else extras

    def encoded(self, message: Any) -> tuple[str, bytes] | None:
        """Return the type's name and the payload of a message without options; None where its draft needs more than these.

        Raises:
            As `draft`.
        """
        type_name = self.names.name(type(message), self._check_type)
        if self._binds or type_name in self.names.versions or (self.has_middleware and not are_idle(self.middleware)):
            return None
        payload = self.fidelity.encode(message)
        if len(payload) > self.options.payload_bytes_max:
            self._check_size(type_name, payload)
        return type_name, payload

    def one(self, message: Any) -> Sequence[Draft] | DraftRun:
        """Return the draft of a message without options; the fast path of single messages.

        Raises:
            As `draft`.
        """
        plain = self.encoded(message)
        return [self.draft(message)] if plain is None else DraftRun(plain[0], [self.ids.one()], [plain[1]], len(plain[1]))

    def plain(self, messages: list[Any]) -> Sequence[Draft] | DraftRun:
        """Return the drafts of messages without options; the fast path of batches.

        Raises:
            As `draft`.
        """
        types = set(map(type, messages))
        names = {cls: self.names.name(cls, self._check_type) for cls in types}
        is_plain = not self._binds and len(types) == 1 and self.names.versions.keys().isdisjoint(names.values())
        if not is_plain or (self.has_middleware and not are_idle(self.middleware)):
            return [self.draft(message) for message in messages]
        (type_name,) = names.values()
        payloads = self.fidelity.encode_all(messages)
        if max(map(len, payloads)) > self.options.payload_bytes_max:
            for payload in payloads:
                self._check_size(type_name, payload)
        return DraftRun(type_name, self.ids.run(len(payloads)), payloads)

    def _due_us(self, delay: float | None, at: dt.datetime | float | None) -> int:
        if delay is not None and at is not None:
            msg = "delay, at: give one of them, not both"
            raise InvalidMessage(msg)
        if delay is not None:
            wait_us = whole_us(checked_seconds("delay", delay))
            return self.clock.now_us() + wait_us if wait_us else 0
        if at is None:
            return 0
        due_us = moment_us("at", at)
        now_us = self.clock.now_us()
        if due_us > now_us + SECONDS_MAX * 1_000_000:
            msg = f"at: at most {LONGEST} ahead, not {shown(at)}"
            raise InvalidMessage(msg)
        # After the wall clock was set back, the queue's clock is ahead of it: a message may be late by that time, never early.
        due_us += max(0, now_us - self.clock.wall_us())
        return due_us if due_us > now_us else 0

    def ahead_us(self) -> int:
        """Return by how much the clock of the drafts is ahead of the wall clock; see `perdure.events.moments`."""
        return ahead_us(self.clock)

    def since_us(self, published: Published) -> int:
        """Return since when a message could have been handled: from its id, if perdure made it, or its delay; else 0."""
        return max(made_us(published.id), published.due_us)


def without_policy_where_unknown(make: Callable[..., Draft], is_known: Callable[[str], bool]) -> Callable[..., Draft]:
    """Return a maker of drafts that leaves the policy of a key to the owner, where it is not known here yet.

    Args:
        make: makes a draft of a message and its options.
        is_known: returns whether it is known here, for the name of a type.
    """

    def draft(message: Any, **options: Any) -> Draft:
        made = make(message, **options)
        is_named = options.get("dedup") is not None or options.get("debounce") is not None
        return made if is_named or is_known(made.type) else made._replace(dedup=None)

    return draft


def _debounced(key: str | None, debounce: float, delay: float | None, at: Any, dedup: str | None) -> float:
    """Return the delay of a debounced message: each newer message of its key replaces it and starts the delay again."""
    if key is None or delay is not None or at is not None or dedup not in (None, "replace"):
        msg = "debounce: needs a key, and goes without delay, at, or another dedup than 'replace'"
        raise InvalidMessage(msg)
    return checked_seconds("debounce", debounce)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    try:
        pairs = {_text(name): _text(value) for name, value in dict(headers).items()}
    except Exception as error:  # foreign code: a mapping of the host's own
        msg = f"headers: a mapping of strings, not {shown(headers)}"
        raise InvalidMessage(msg) from error
    for pair in pairs.items():
        if not (isinstance(pair[0], str) and isinstance(pair[1], str)):
            msg = f"headers: pairs of strings, not {shown(pair[0])}: {shown(pair[1])}; write numbers and the like as text"
            raise InvalidMessage(msg)
    if len(pairs) > HEADERS_MAX:
        msg = f"headers: at most {HEADERS_MAX} pairs, not {len(pairs):,}; what is more belongs into the message"
        raise InvalidMessage(msg)
    if sum(len(k) + len(v) for k, v in pairs.items()) > HEADER_CHARS_MAX:
        msg = f"headers: at most {HEADER_CHARS_MAX} characters together"
        raise InvalidMessage(msg)
    try:
        "".join((*pairs, *pairs.values())).encode()
    except UnicodeEncodeError as error:
        msg = f"headers: cannot be encoded as UTF-8: {error}"
        raise InvalidMessage(msg) from error
    return pairs


def _text(value: Any) -> Any:
    """Return a text as a `str` itself; anything else as it is."""
    return plain(value) if isinstance(value, str) else value
