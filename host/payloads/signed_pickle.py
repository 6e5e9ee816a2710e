"""`CloudPickle`: payloads of any Python object, for hosts that ask for it. Only payloads signed with the host's key are unpickled.

Messages to child processes are pickled without a signature (`perdure.actors.execution`): only the parent can reach their sockets.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from typing import Any

import attrs
import cloudpickle

from perdure.arguments.choices import check_flag
from perdure.events.errors import InvalidMessage, UnknownMessageType
from perdure.events.public_names import public
from perdure.payloads.type_names import name_of

__all__ = ["CloudPickle"]

SIGNATURE_BYTES = 32
MSGSPEC_NOTE = "__msgspec_cache__"
"""What msgspec keeps on a class that it has encoded; it cannot be pickled, and is made anew."""
BOUND = b"PdSig2\0\0"
"""Begins a payload whose signature is bound to one message. Payloads of earlier versions begin with the signature."""


@public
@attrs.frozen(kw_only=True)
class CloudPickle:
    """Any Python object, pickled and signed with `key` (HMAC-SHA256), together with the type and the id of its message.

    Unpickling runs code, so a payload is only unpickled if its signature was made with this key, for this message. Keep the key
    secret, and out of the data folder.

    Args:
        key: the secret, of at least 16 bytes.
        unbound: whether to read payloads of earlier versions, whose signature names no message. They are accepted if the object has
            their message's type, and could have been moved to another id. Set it to False once no such payload is left.
    """

    key: bytes = attrs.field(repr=False)
    unbound: bool = True

    @key.validator
    def _check_key(self, _attribute: Any, value: bytes) -> None:
        if not isinstance(value, bytes) or len(value) < 16:  # noqa: PLR2004 - the error names the bound
            msg = "key: CloudPickle needs a secret of at least 16 bytes"
            raise ValueError(msg)

    def __attrs_post_init__(self) -> None:
        """Refuse wrong parts."""
        check_flag("unbound", self.unbound)

    def encode(self, message: Any) -> bytes:
        """See `Codec.encode`. The payload is signed, but not bound to a message."""
        try:
            body = _pickled(message)
        except Exception as error:
            msg = f"message: {type(message).__qualname__} cannot be pickled: {error}"
            raise InvalidMessage(msg) from error
        return self._signature(body) + body

    def bind(self, payload: bytes, type_name: str, ident: str) -> bytes:
        """See `BindingCodec.bind`."""
        body = self._checked(payload)
        return BOUND + self._signature(body, type_name, ident) + body

    def decode(self, payload: bytes, cls: type | None) -> Any:  # noqa: ARG002 - a pickle names its class itself
        """See `Codec.decode`; for payloads that are not bound to a message."""
        return _unpickled(self._checked(payload))

    def decode_bound(self, payload: bytes, cls: type | None, type_name: str, ident: str) -> Any:
        """See `BindingCodec.decode_bound`."""
        if not payload.startswith(BOUND):
            return self._decode_unbound(payload, cls, type_name)
        head = len(BOUND) + SIGNATURE_BYTES
        body = payload[head:]
        if not hmac.compare_digest(payload[len(BOUND) : head], self._signature(body, type_name, ident)):
            msg = (
                f"a payload of {len(payload)} bytes has no valid signature of this key for message {ident!r} of {type_name}: it "
                "was changed, moved from another message, or signed with another key. It is not unpickled"
            )
            raise InvalidMessage(msg)
        return _unpickled(body)

    def _decode_unbound(self, payload: bytes, cls: type | None, type_name: str) -> Any:
        """Decode a payload of an earlier version: its signature names no message, so its object must at least have the type."""
        if not self.unbound:
            msg = f"a payload of {len(payload)} bytes is signed for no message, and unbound=False; it is not unpickled"
            raise InvalidMessage(msg)
        message = _unpickled(self._checked(payload))
        if type(message) is not cls and _name_of(type(message)) != type_name:
            msg = f"a signed payload holds a {type(message).__qualname__}, not a {type_name}: it was moved from another message"
            raise InvalidMessage(msg)
        return message

    def _checked(self, payload: bytes) -> bytes:
        signature, body = payload[:SIGNATURE_BYTES], payload[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(body)):
            msg = f"a payload of {len(payload)} bytes has no valid signature of this key; it is not unpickled"
            raise InvalidMessage(msg)
        return body

    def _signature(self, body: bytes, *names: str) -> bytes:
        """Return the signature of a body and the names to which it is bound; lengths keep each name apart from the next."""
        if not names:
            return hmac.digest(self.key, body, hashlib.sha256)
        encoded = [name.encode("utf-8", "surrogatepass") for name in names]
        bound = b"".join(len(name).to_bytes(8, "little") + name for name in encoded)
        # A pickle begins with byte 0x80, so these signed bytes are never those of a body without names.
        return hmac.digest(self.key, BOUND + bound + body, hashlib.sha256)


def _name_of(cls: type) -> str | None:
    try:
        return name_of(cls)
    except UnknownMessageType:
        return None


class _Pickler(cloudpickle.Pickler):
    """Pickles classes that are pickled whole, as those of a notebook are, without what msgspec has noted on them."""

    def reducer_override(self, obj: Any) -> Any:
        """See `pickle.Pickler`."""
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and MSGSPEC_NOTE in obj.__dict__ and isinstance(reduced, tuple):
            for part in reduced[2] if len(reduced) > 2 and isinstance(reduced[2], tuple) else ():  # noqa: PLR2004 - the class's state
                if isinstance(part, dict):
                    part.pop(MSGSPEC_NOTE, None)
        return reduced


def _pickled(message: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(message)
    return buffer.getvalue()


def _unpickled(body: bytes) -> Any:
    try:
        return cloudpickle.loads(body)
    except Exception as error:
        msg = f"a signed payload of {len(body)} bytes cannot be unpickled: {error}"
        raise InvalidMessage(msg) from error
