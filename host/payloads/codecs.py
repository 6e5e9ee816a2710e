"""Codecs: objects become payloads, and payloads become objects again. Their stable names are in `type_names`.

MessagePack takes plain data, attrs, dataclasses, msgspec structs and pydantic models. Pickling is in `signed_pickle`; whether an
object arrives unchanged is checked in `fidelity`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import attrs
import msgspec

from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.payloads.class_memory import remember
from perdure.payloads.foreign_types import Undecorated, decode_hook, dump_model, encode_hook, is_model, model_reader

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OTHER_VALUE", "PLAIN_FIELDS", "BindingCodec", "Codec", "MessagePack", "make_decoder"]

T = TypeVar("T")
PLAIN_FIELDS = "Use plain fields that say what they hold (see docs/API.md, Message types), or codec=perdure.CloudPickle(key=...)."
"""What to do where a type is not supported."""
OTHER_VALUE = "Give it another value, annotate its fields (docs/API.md, Message types), or use codec=perdure.CloudPickle(key=...)."
"""What to do where the type is supported, and a value is not."""
_encode = msgspec.msgpack.Encoder(enc_hook=encode_hook).encode


class Codec(Protocol):
    """Objects to bytes and back."""

    def encode(self, message: Any) -> bytes:
        """Return an object's payload; raise InvalidMessage if it cannot be encoded."""

    def decode(self, payload: bytes, cls: type | None) -> Any:
        """Return an object of `cls`, or plain data for None; raise InvalidMessage if the payload cannot be decoded."""


@runtime_checkable
class BindingCodec(Codec, Protocol):
    """A codec whose payloads are valid for one message only: a payload that was moved to another type or id is refused."""

    def bind(self, payload: bytes, type_name: str, ident: str) -> bytes:
        """Return a payload of `encode`, bound to its message."""

    def decode_bound(self, payload: bytes, cls: type | None, type_name: str, ident: str) -> Any:
        """Return the object of a bound payload; raise InvalidMessage if it cannot be decoded, or is bound to another message."""


@public
class MessagePack:
    """MessagePack by msgspec; a class's fields by name, so that fields can be added with a default."""

    def __init__(self) -> None:
        self._decoders: dict[type, Callable[[bytes], Any]] = {}
        self._encoders: dict[type, Callable[[Any], bytes]] = {}

    def encode(self, message: Any) -> bytes:
        """See `Codec.encode`."""
        try:
            return self.encoder(message.__class__)(message)
        except Exception as error:  # a hook or property of the host's own may raise anything
            way_out = "" if isinstance(error, Undecorated) else PLAIN_FIELDS if isinstance(error, TypeError) else OTHER_VALUE
            msg = f"message: {type(message).__qualname__} cannot be encoded: {error}. {way_out}"
            raise InvalidMessage(msg.rstrip()) from error

    def encoder(self, cls: type) -> Callable[[Any], bytes]:
        """Return the function that encodes objects of a class, made at first use. It may raise any exception."""
        known = self._encoders.get(cls)
        if known is None:
            known = remember(self._encoders, cls, _make_encoder(cls))
        return known

    def decode(self, payload: bytes, cls: type | None) -> Any:
        """See `Codec.decode`."""
        try:
            return self.decoder(cls or object)(payload)
        except Exception as error:  # a hook or validator of the host's own may raise anything
            name = "plain data" if cls is None else cls.__qualname__
            msg = f"a payload of {len(payload)} bytes cannot be decoded as {name}: {error}"
            raise InvalidMessage(msg) from error

    def decoder(self, cls: type) -> Callable[[bytes], Any]:
        """Return the function that decodes a class, made at first use.

        Raises:
            TypeError, NameError: the class cannot be decoded.
        """
        known = self._decoders.get(cls)
        if known is None:
            known = remember(self._decoders, cls, make_decoder(cls))
        return known


def make_decoder(kind: Any) -> Callable[[bytes], Any]:
    """Return a function that decodes a class, or anything else that an annotation may name.

    Raises:
        TypeError, NameError: it cannot be decoded.
    """
    if is_model(kind):
        plain, read = msgspec.msgpack.Decoder().decode, model_reader(kind)
        return lambda payload: read(plain(payload))
    return msgspec.msgpack.Decoder(Any if kind is object else kind, dec_hook=decode_hook).decode


def _make_encoder(cls: type) -> Callable[[Any], bytes]:
    if is_model(cls):
        return lambda message: _encode(dump_model(message))
    if attrs.has(cls) and any(field.name.startswith("_") for field in attrs.fields(cls)):
        return lambda message: _encode(attrs.asdict(message, recurse=False))  # msgspec leaves private fields out
    return _encode
