"""A field that is added to an event class arrives wherever events go, with no change of the code there.

Where that is, is listed in `arrivals`; how the field gets into the classes, in `added_fields`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from perdure.events import vocabulary as ev
from perdure.events.codec.queue_snapshot import _OWN
from perdure.events.commands import Draft
from perdure.events.structures.message import Message

ROOT = Path(__file__).parents[3]


def test_field_that_is_added_to_every_event_class_arrives() -> None:
    command = [sys.executable, "-m", "tests.events.codec.added_fields"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("nothing is lost\n", 0), done.stderr[-3_000:]


def test_draft_is_a_message_without_its_number() -> None:
    """A message is made of its draft by position."""
    published: Any = ev.Published
    fields = [(field.name, field.default) for field in attrs.fields(published)]
    assert fields[0][0] == "number"
    assert [name for name, _ in fields[1:]] == list(Draft._fields)
    assert {name: default for name, default in fields[1:] if default is not attrs.NOTHING} == Draft._field_defaults


def test_all_that_a_message_knows_of_itself_is_in_a_snapshot() -> None:
    derived = {"published", "status", "queue_part", "lease", "forgiven"}  # the last one is under a key of its own
    assert {field.name for field in attrs.fields(Message)} - set(_OWN) == derived
