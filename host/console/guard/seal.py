"""`Seal`: signs the data that browsers store for the console, so that changed data is detected when it comes back.

It does not encrypt: a browser can read the data. Not here: which data that is (`sessions`), and where the key comes from (`keys`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import zlib
from typing import Any

import attrs
import msgspec

__all__ = ["KEY_BYTES", "Seal"]

KEY_BYTES = 32
PLAIN_BYTES_MAX = 4 << 20
"""The most bytes of decompressed data. Only signed data is decompressed."""


@attrs.frozen(repr=False)
class Seal:
    """A key of `KEY_BYTES` bytes, and the signatures made with it. A signature holds for one purpose. Safe in any thread."""

    key: bytes

    def mark(self, purpose: str, text: str) -> str:
        """Return the signature of a text: a text that cannot be computed without the key."""
        return _text(self._signature(purpose, text.encode()))

    def sealed(self, purpose: str, content: Any) -> str:
        """Return plain data as a signed text of letters, digits, `-` and `_`."""
        body = zlib.compress(msgspec.msgpack.encode(content))
        return _text(self._signature(purpose, body) + body)

    def opened(self, purpose: str, text: str) -> Any:
        """Return the data that was sealed for this purpose; None where the text was not sealed for it, or was changed."""
        try:
            data = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        signature, body = data[:KEY_BYTES], data[KEY_BYTES:]
        if not hmac.compare_digest(signature, self._signature(purpose, body)):
            return None
        return msgspec.msgpack.decode(zlib.decompressobj().decompress(body, PLAIN_BYTES_MAX))

    def _signature(self, purpose: str, body: bytes) -> bytes:
        return hmac.digest(self.key, f"perdure console {purpose}\0".encode() + body, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
