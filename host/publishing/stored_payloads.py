"""From payloads back to messages and results, and from a handler's result to its payload.

How a message that is published becomes a payload is in `drafts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.errors import InvalidMessage, PayloadTooLarge, UnknownMessageType
from perdure.payloads.codecs import BindingCodec, MessagePack
from perdure.payloads.type_names import upcast, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.vocabulary import Published
    from perdure.options import Options
    from perdure.payloads.codecs import Codec
    from perdure.payloads.type_names import TypeNames

__all__ = ["StoredPayloads"]

RESULT = "result of "
"""Prefix of a result's type where its payload is bound, so that no result can pass for a message."""


class StoredPayloads:
    """Decodes what a log holds. Safe in any thread."""

    def __init__(self, names: TypeNames, codec: Codec, options: Options) -> None:
        self.names = names
        self.codec = codec
        self.options = options
        self._binds = isinstance(codec, BindingCodec)

    def load(self, published: Published) -> Any:
        """Return a message as an object of its class, or as plain data where no class of that name is known.

        Raises:
            InvalidMessage: it cannot be decoded, or no upcasters lead from its version to today's.
        """
        cls = self.names.find(published.type)
        version = 1 if published.extras is None else published.extras.version
        today = version_of(cls)
        if version == today or cls is None:
            return self._decode(published.payload, cls, published.type, published.id)
        if version > today:
            msg = f"the payload is version {version} of {published.type}, and this host knows only version {today}"
            raise InvalidMessage(msg)
        return upcast(self._decode(published.payload, None, published.type, published.id), version, cls)

    def loader(self, type_name: str) -> Callable[[bytes], Any] | None:
        """Return the function that decodes plain messages of a type; None where one function alone cannot.

        It may raise any exception; `load_plain` then raises one that says what is wrong.
        """
        cls = self.names.find(type_name)
        if cls is None or version_of(cls) > 1 or type(self.codec) is not MessagePack:
            return None
        try:
            return self.codec.decoder(cls)
        except Exception:  # noqa: BLE001 - `load_plain` reports what is wrong with the type, for each message
            return None

    def load_plain(self, type_name: str, payload: bytes, ident: str) -> Any:
        """As `load`, for a message in the first version of its type.

        Raises:
            As `load`.
        """
        cls = self.names.find(type_name)
        if cls is None or version_of(cls) == 1:
            return self._decode(payload, cls, type_name, ident)
        return upcast(self._decode(payload, None, type_name, ident), 1, cls)

    def dump(self, value: Any, ident: str) -> bytes:
        """Return what a message's handler returned, encoded, with its type's name where it has one.

        Raises:
            InvalidMessage, PayloadTooLarge: the result cannot be kept.
        """
        try:
            name = self.names.name_of_result(type(value))
        except UnknownMessageType:
            name = "object"  # an object of a class without a stable name comes back as plain data
        try:
            encoded = self.codec.encode(value)
        except InvalidMessage as error:
            msg = f"result: {str(error).removeprefix('message: ')}"
            raise InvalidMessage(msg) from error
        payload = self.bound(encoded, f"{RESULT}{name}", ident)
        self._check_size(f"the result, {name},", payload)
        return name.encode() + b"\0" + payload

    def load_result(self, body: bytes, ident: str) -> Any:
        """Return the result that `dump` encoded; None for no bytes, as batch handlers and manual consumers have no result.

        Raises:
            InvalidMessage: it cannot be decoded.
        """
        if not body:
            return None
        name, _, payload = body.partition(b"\0")
        kind = name.decode()
        return self._decode(payload, self.names.find(kind), f"{RESULT}{kind}", ident)

    def bound(self, payload: bytes, type_name: str, ident: str) -> bytes:
        """Return a payload that is bound to its message, where the codec binds payloads."""
        codec: Any = self.codec
        return codec.bind(payload, type_name, ident) if self._binds else payload

    def _check_size(self, type_name: str, payload: bytes) -> None:
        if len(payload) > self.options.payload_bytes_max:
            msg = (
                f"message: {type_name} takes {len(payload):,} bytes, more than the {self.options.payload_bytes_max:,} of "
                "Options.payload_bytes_max. Store the data elsewhere and publish where it is."
            )
            raise PayloadTooLarge(msg)

    def _decode(self, payload: bytes, cls: type | None, type_name: str, ident: str) -> Any:
        codec: Any = self.codec
        try:
            return codec.decode_bound(payload, cls, type_name, ident) if self._binds else codec.decode(payload, cls)
        except InvalidMessage:
            raise
        except Exception as error:  # a codec of the host's own may raise anything
            msg = f"a payload of {len(payload)} bytes cannot be decoded as {type_name}: {error!r:.500}"
            raise InvalidMessage(msg) from error
