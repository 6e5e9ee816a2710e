"""What a person gives as JSON, to a command or in the console: values, options, and messages of classes that only the host has."""

from __future__ import annotations

import json
import math
import re
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown
from perdure.payloads.type_names import message, object_of

if TYPE_CHECKING:
    from perdure.payloads.type_names import TypeNames

__all__ = ["given_json", "given_message", "is_given", "json_object", "message_of", "option_value", "value_or_text"]

WORD = re.compile(r"[^\W\d][\w .:/@+-]*")
"""What is meant as a text, and not as JSON with a fault in it."""
WORDS = {"none": None, "inf": math.inf, "infinity": math.inf}
"""Values of a handler's options that JSON has no word for."""
MADE = "Message"
"""The name of each class that is made for the fields of one message."""


def _json_value(text: str) -> Any:
    """Return the value that a text holds as JSON.

    Raises:
        InvalidMessage: a number in it is none of JSON: NaN, Infinity, or one so large that it would be read as infinity.
        ValueError: it is no JSON, or lists and objects are nested deeper than Python can read.
    """
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_no_number)
    except RecursionError as error:
        msg = "it is nested too deep"
        raise ValueError(msg) from error


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        msg = f"{shown(text)} is more than a number can be (about 1.8e308), and JSON has no infinity: write a smaller one"
        raise InvalidMessage(msg)
    return number


def _no_number(name: str) -> None:
    msg = f"{name} is no number of JSON: write a number, null, or a text ({json.dumps(name)})"
    raise InvalidMessage(msg)


def given_json(what: str, text: str) -> Any:
    """Return the value that a text holds as JSON.

    Raises:
        InvalidMessage: it is no JSON, or a number in it is none of JSON; `what` names it.
    """
    try:
        return _json_value(text)
    except InvalidMessage:
        raise
    except ValueError as error:
        hint = f" (a text stands in quotes: {json.dumps(text.strip())})" if WORD.fullmatch(text.strip()) else ""
        msg = f"the {what} is no JSON: {error}{hint}"
        raise InvalidMessage(msg) from error


def value_or_text(text: str) -> Any:
    """Return the value that a text holds as JSON, or the text itself where it holds none.

    Raises:
        InvalidMessage: a number in it is none of JSON: 1e999 was not meant as a text.
    """
    try:
        return _json_value(text)
    except InvalidMessage:
        raise
    except ValueError:
        return text


def option_value(text: str) -> Any:
    """Return the value of a handler's option that a person wrote: `none`, `inf`, JSON, or a text.

    Raises:
        InvalidMessage: as `value_or_text`.
    """
    word = text.lower()
    return WORDS[word] if word in WORDS else value_or_text(text)


def json_object(text: str) -> dict[str, Any]:
    """Return the fields that an argument gives as JSON.

    Raises:
        InvalidMessage: it is no JSON object, or a number in it is none of JSON.
    """
    plain = given_json("message", text)
    if not isinstance(plain, dict):
        msg = "the message is to be a JSON object with its fields, for example '{\"order\": 7}'"
        raise InvalidMessage(msg)
    return plain


def given_message(names: TypeNames, kind: str, plain: dict[str, Any]) -> Any:
    """Return a message of a type with these fields: of its class, where this process has that, as in the host's own application.

    Args:
        names: of the system or client that is to take the message.
        kind: the name of the type.
        plain: the fields.

    Raises:
        InvalidMessage: the fields are not those of the class, or cannot be those of any.
    """
    cls = names.find(kind)
    if cls is None or _is_made(cls):
        return message_of(kind, plain)
    try:
        return object_of(plain, cls)
    except Exception as error:  # a hook or validator of the host's own may raise anything
        msg = f"these fields cannot be those of {kind}: {error}"
        raise InvalidMessage(msg) from error


def is_given(message: object) -> bool:
    """Return whether a message was made here for a type whose class is not known, so that its version is not either."""
    return _is_made(type(message))


def _is_made(cls: type) -> bool:
    return cls.__module__ == __name__ and cls.__qualname__ == MADE


def message_of(kind: str, plain: dict[str, Any]) -> Any:
    """Return a message of a type whose class this process does not have, with these fields.

    Raises:
        InvalidMessage: their names cannot be those of fields.
    """
    for name in plain:
        if not name.isidentifier() or iskeyword(name):  # attrs writes names into the source of the class
            msg = f"{shown(name)} cannot be the name of a field; write a JSON object with the fields of the message's class"
            raise InvalidMessage(msg)
    try:
        cls: Any = attrs.make_class(MADE, {name: attrs.field(type=Any) for name in plain}, slots=False)
        return message(name=kind)(cls)(**plain)
    except (SyntaxError, TypeError, ValueError) as error:
        msg = f"these fields cannot be those of a message class: {error}"
        raise InvalidMessage(msg) from error
