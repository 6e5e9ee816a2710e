"""Texts from outside (exceptions, keys, reasons) in a form that a log line, or the log of events, can hold."""

from __future__ import annotations

__all__ = ["one_line", "plain_text"]

LINE_CHARS_MAX = 200
"""Of an exception's text, a key or a type's name in a log line."""
TEXT_CHARS_MAX = 4_000
"""Of a reason, a note or an exception's message on record."""


def one_line(text: str, chars_max: int = LINE_CHARS_MAX) -> str:
    """Return a text as a log line may hold it: cut, and without line breaks or escape sequences."""
    short = text if len(text) <= chars_max else f"{text[: chars_max - 3]}..."
    return short if short.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def plain_text(text: object, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Return a text as any log can hold it: bounded (its end is kept), lone surrogates spelt out, whatever its `str` does."""
    try:
        said = str.__str__(text) if isinstance(text, str) else str(text)
    except Exception as error:  # noqa: BLE001 - foreign code, or an int of more digits than Python prints
        said = f"a {type(text).__name__} whose text raised {type(error).__name__}"
    return said[-chars_max:].encode("utf-8", "backslashreplace").decode()
