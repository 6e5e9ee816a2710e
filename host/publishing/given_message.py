"""Messages that a person gives as JSON, to a command or in the console, of types whose classes only the application has."""

from __future__ import annotations

import json
from keyword import iskeyword
from typing import Any

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown
from perdure.payloads.type_names import message

__all__ = ["json_object", "json_value", "message_of"]


def json_value(text: str) -> Any:
    """Return the value that a text holds as JSON.

    Raises:
        ValueError: it is no JSON, or lists and objects are nested deeper than Python can read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        msg = "it is nested too deep"
        raise ValueError(msg) from error


def json_object(text: str) -> dict[str, Any]:
    """Return the fields that an argument gives as JSON.

    Raises:
        InvalidMessage: it is no JSON object.
    """
    try:
        plain = json_value(text)
    except ValueError as error:
        msg = f"the message is no JSON: {error}"
        raise InvalidMessage(msg) from error
    if not isinstance(plain, dict):
        msg = "the message is to be a JSON object with its fields, for example '{\"order\": 7}'"
        raise InvalidMessage(msg)
    return plain


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
        cls: Any = attrs.make_class("Message", {name: attrs.field(type=Any) for name in plain}, slots=False)
        return message(name=kind)(cls)(**plain)
    except (SyntaxError, TypeError, ValueError) as error:
        msg = f"these fields cannot be those of a message class: {error}"
        raise InvalidMessage(msg) from error
