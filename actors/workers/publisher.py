"""What workers need of the host's codec: `Publisher`. The host implements it (`host/publishing/drafts.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.commands import Draft
    from perdure.events.vocabulary import Published

__all__ = ["Publisher"]


class Publisher(Protocol):
    """Turns payloads into objects and objects into drafts. Safe in any thread."""

    @property
    def draft(self) -> Callable[..., Draft]:
        """Encode a message with its options."""

    def load(self, published: Published) -> Any:
        """Return a message's payload as an object of its type.

        Raises:
            InvalidMessage: it cannot be decoded.
        """

    def loader(self, type_name: str) -> Callable[[bytes], Any] | None:
        """Return the function that decodes plain messages of a type; None where one function alone cannot."""

    def load_plain(self, type_name: str, payload: bytes, ident: str) -> Any:
        """As `load`, for a message in the first version of its type."""

    def dump(self, value: Any, ident: str) -> bytes:
        """Encode what the handler of a message returned.

        Raises:
            InvalidMessage: it cannot be encoded.
        """

    def under_policy(self, draft: Draft) -> Draft:
        """Return a draft with a key, made in another process, under its handler's policy; options that it names are kept."""

    def since_us(self, published: Published) -> int:
        """Return since when a message could have been handled, in microseconds; 0 where that is not known."""
