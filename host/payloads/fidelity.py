"""Fidelity: a message type that cannot be decoded is refused, and so is a message that would arrive changed.

Codecs are in `codecs`; `differences` compares two objects, and `proofs` finds messages that need no comparison.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown
from perdure.payloads.class_memory import remember
from perdure.payloads.codecs import OTHER_VALUE, PLAIN_FIELDS, MessagePack, make_decoder
from perdure.payloads.differences import difference
from perdure.payloads.foreign_types import undecodable_parts, undecorated
from perdure.payloads.proofs import prove
from perdure.payloads.signed_pickle import CloudPickle

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.payloads.codecs import Codec

__all__ = ["Fidelity"]


def _always(_message: Any) -> bool:
    return True


def _never(_message: Any) -> bool:
    return False


class Fidelity:
    """Encodes messages; each arrives equal to what was published, or is refused. Safe in any thread.

    Args:
        codec: encodes and decodes.
        checks_values: whether each message is checked. Each class is checked once in any case.
    """

    def __init__(self, codec: Codec, *, checks_values: bool = True) -> None:
        self._codec = codec
        self._checks_values = checks_values
        self._by_class: dict[type, tuple[Callable[[Any], bytes], Callable[[Any], bool]]] = {}
        """By class: a function that encodes its objects (and may raise anything), and one that proves that an object arrives
        equal."""

    def check_type(self, cls: type) -> None:
        """Check once for each class that its messages can be decoded.

        Raises:
            InvalidMessage: they cannot; the error names the field and its type.
        """
        if cls not in self._by_class:
            self._learn(cls)

    def _learn(self, cls: type) -> tuple[Callable[[Any], bytes], Callable[[Any], bool]]:
        encode: Callable[[Any], bytes] = self._bytes_of
        proof: Callable[[Any], bool] = _never
        if type(self._codec) is MessagePack:
            _check_decodable(cls, self._codec)
            encode, proof = self._codec.encoder(cls), prove(cls) or _never
        return remember(self._by_class, cls, (encode, proof if self._checks_values else _always))

    def _bytes_of(self, message: Any) -> bytes:
        """Return what the codec gives; a codec of the host's own may give something else than bytes."""
        payload = self._codec.encode(message)
        if type(payload) is bytes:
            return payload
        if isinstance(payload, (bytes, bytearray, memoryview)):
            return bytes(payload)
        msg = f"codec: {type(self._codec).__qualname__}.encode returned {shown(payload)}, and a payload is bytes"
        raise InvalidMessage(msg)

    def encode(self, message: Any) -> bytes:
        """Return a message's payload.

        Raises:
            InvalidMessage: it cannot be encoded, or would arrive changed; the error says where.
        """
        cls = type(message)
        encode, proof = self._by_class.get(cls) or self._learn(cls)
        try:
            payload = encode(message)
            if proof(message):
                return payload
        except Exception:  # noqa: BLE001 - the codec raises an error that says what is wrong
            payload = self._bytes_of(message)
        self._check(message, payload)
        return payload

    def encode_all(self, messages: list[Any]) -> list[bytes]:
        """Return the payloads of messages of one class, in order.

        Raises:
            InvalidMessage: as `encode`, for the first that is refused.
        """
        cls = type(messages[0])
        encode, proof = self._by_class.get(cls) or self._learn(cls)
        try:
            payloads = list(map(encode, messages))
            if proof is not _never and all(map(proof, messages)):
                return payloads
        except Exception:  # noqa: BLE001 - encoded one by one, the wrong one raises an error of its own
            return list(map(self.encode, messages))
        if proof is not _never:
            return list(map(self.encode, messages))
        for message, payload in zip(messages, payloads, strict=True):
            self._check(message, payload)
        return payloads

    def _check(self, message: Any, payload: bytes) -> None:
        """Decode a payload, and refuse the message if it comes back changed."""
        cls = type(message)
        try:
            arrived = self._codec.decode(payload, cls)
            if isinstance(self._codec, CloudPickle):
                return  # a pickle that can be read is exact
            found = difference(message, arrived)
        except Exception as error:
            msg = f"message: {cls.__qualname__} would not reach its handler: {_cause_of(error)}. {OTHER_VALUE}"
            raise InvalidMessage(msg) from error
        if found is not None:
            msg = f"message: {cls.__qualname__} would not reach its handler as it is: {found}. {OTHER_VALUE}"
            raise InvalidMessage(msg)


def _cause_of(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error.__cause__ if isinstance(error, InvalidMessage) and error.__cause__ is not None else error)


def _check_decodable(cls: type, codec: MessagePack) -> None:
    if typing.is_typeddict(cls):
        msg = (
            f"message type: {cls.__qualname__} is a TypedDict: its objects are plain dicts, and no message is one. Use a dataclass."
        )
        raise InvalidMessage(msg)
    if issubclass(cls, type):
        msg = "message: a class was given where an object of it is needed: `publish(Order(...))`, not `publish(Order)`"
        raise InvalidMessage(msg)
    try:
        codec.decoder(cls)
    except Exception as error:
        raise _undecodable(cls, *_culprit(cls, error)) from error
    for path, kind in undecodable_parts(cls):
        if lacks := undecorated(kind):
            raise _undecodable(cls, path, kind, lacks, "")
        raise _undecodable(cls, path, kind, "nothing can be decoded as that")
    if dataclasses.is_dataclass(cls) and "__dataclass_fields__" not in vars(cls):
        for name, hint in inspect.get_annotations(cls).items():
            if name not in {field.name for field in dataclasses.fields(cls)} and "ClassVar" not in str(hint):
                why = "the class is no dataclass itself, only the one it inherits from; decorate it too, with @dataclass"
                raise _undecodable(cls, name, hint, why, "")
    if attrs.has(cls):
        for field in attrs.fields(cls):
            if not field.init and field.default is attrs.NOTHING and not hasattr(cls, "__attrs_post_init__"):
                raise _undecodable(cls, field.name, field.type, "with init=False and no default, nothing would give it its value")


def _undecodable(cls: type, path: str, kind: Any, why: str, way_out: str = PLAIN_FIELDS) -> InvalidMessage:
    """Return the error for a class, or a field of it, that cannot be decoded; an empty `way_out` where `why` says what to do."""
    named = kind if isinstance(kind, str) else getattr(kind, "__qualname__", None) if isinstance(kind, type) else repr(kind)
    where = f"field {path!r} of {cls.__qualname__}, of type {named}," if path else cls.__qualname__
    return InvalidMessage(f"message type: {where} cannot be decoded, so no handler could be given it: {why}. {way_out}".rstrip())


def _culprit(cls: type, error: Exception) -> tuple[str, Any, str]:
    """Return the field that cannot be decoded, its type, and why; an empty field name where it is not found."""
    hints = _hints(cls)
    if attrs.has(cls) and (bare := [field.name for field in attrs.fields(cls) if field.name not in hints]):
        return bare[0], "unknown", "it has no annotation"
    for name, hint in hints.items():
        if isinstance(hint, dataclasses.InitVar):
            return name, "InitVar", "it is gone once the object is made"
        if isinstance(hint, Exception):
            return (
                name,
                cls.__annotations__.get(name),
                f"{hint}; its name must be there when the program runs, not only for type checking",
            )
        try:
            make_decoder(hint)
        except Exception as refusal:  # noqa: BLE001 - whatever msgspec, pydantic or an annotation raises
            if isinstance(hint, type) and hint is not cls and (deeper := _culprit(hint, refusal))[0]:
                return f"{name}.{deeper[0]}", deeper[1], deeper[2]
            return name, hint, str(refusal)
    return "", cls, str(error)


def _hints(cls: type) -> dict[str, Any]:
    """Return the evaluated annotations of a class's fields; the error for one that cannot be evaluated."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            probe = type(base.__name__, (), {"__annotations__": {name: annotation}, "__module__": base.__module__})
            try:
                hint = typing.get_type_hints(probe, localns=dict(vars(base)), include_extras=True)[name]
            except Exception as error:  # noqa: BLE001 - whatever an annotation raises
                hint = error
            if typing.get_origin(hint) is not typing.ClassVar:
                hints[name] = hint
    return hints
