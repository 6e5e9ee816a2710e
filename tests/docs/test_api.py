"""Check that docs/API.md names each public name, method, option and field. Its examples run as doctests, not here."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.events.actions import ACTIONS
from perdure.operations.admin import Actors, Admin
from perdure.operations.dead_letter import DeadLetterStats, Failure
from perdure.operations.dead_letters import DeadLetters
from perdure.publishing.drafts import Drafts

if TYPE_CHECKING:
    from collections.abc import Callable

API = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")
INNER = {
    "System": {
        "runtime",
        "relay",
        "end_relay",
        "look_at_outboxes",
        "publish_drafts",
        "ask",
        "run_figures",
        "permit",
        "drafts",
        "options",
        "clock",
        "include_weakly",
        "hand_over",
        "member_anew",
    },  # between its parts
    "Client": {"publish_drafts", "ask", "drafts", "options", "clock", "run_figures", "permit", "take_facts", "begin_anew"},
    "Context": {"commit_bytes", "drafts", "drafts_bytes", "for_child", "process", "sent_away"},  # used by the worker
    "BatchItem": {"commit_bytes", "drafts", "drafts_bytes", "for_child", "process", "sent_away"},
    "Handlers": {"enter_into"},  # called by what includes them
    "OutboxRelay": {"read", "delete", "find_out", "name", "every_s"},  # called by the relay actor
    "Batch": {"index", "count"},  # every sequence has them
}
"""Attributes without an underscore that only perdure itself uses, by class."""


def is_documented(name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", API) is not None


@pytest.mark.parametrize("name", perdure.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert is_documented(name)


KINDS = [
    perdure.System,
    perdure.Client,
    Admin,
    Actors,
    perdure.Audit,
    DeadLetters,
    perdure.Context,
    perdure.Delivery,
    perdure.Batch,
    perdure.BatchItem,
    perdure.Outbox,
    perdure.OutboxRelay,
    perdure.Middleware,
    perdure.Handlers,
]


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - INNER.get(kind.__name__, set())


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_method_is_documented(kind: type) -> None:
    assert sorted(name for name in public(kind) if not is_documented(name)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_method_has_a_docstring_and_its_class_says_in_which_thread(kind: type) -> None:
    text = inspect.getdoc(kind) or ""
    assert re.search(r"\bthreads?\b", text), text
    methods = [name for name in public(kind) if callable(getattr(kind, name)) or isinstance(getattr(kind, name), property)]
    assert [name for name in methods if not inspect.getdoc(getattr(kind, name))] == []


@pytest.mark.parametrize(
    "call",
    [
        perdure.System,
        perdure.connect,
        perdure.System.handler,
        perdure.System.batch_handler,
        perdure.System.every,
        perdure.System.checkout,
        Drafts.make,  # the options of `publish`
        DeadLetters.list,
        DeadLetters.replay,
        DeadLetters.replay_all,
        DeadLetters.purge,
    ],
)
def test_every_option_is_documented(call: Callable[..., object]) -> None:
    names = set(inspect.signature(call).parameters) - {
        "self",
        "executor",
        "causation_id",
        "others",
    }  # used by perdure.chaos and by the handler's context; `others` are refused
    assert sorted(name for name in names if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", API)) == []


@pytest.mark.parametrize(
    "kind",
    [
        perdure.DeadLetter,
        Failure,
        DeadLetterStats,
        perdure.Metrics,
        perdure.HandlerInfo,
        perdure.Recovery,
        perdure.Tick,
    ],
)
def test_every_field_is_documented(kind: type[attrs.AttrsInstance]) -> None:
    names = {field.name for field in attrs.fields(kind)}
    if kind is perdure.HandlerInfo:
        names = {name for name in names if not re.fullmatch(r"wait_p\d\d_s", name)}  # "and the same of `wait`"
    assert sorted(name for name in names if not is_documented(name)) == []


def defaults(section: str) -> dict[str, str]:
    """Return the cell `default` of each option in the first table of a section."""
    text = API.partition(f"\n{section}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows is not None, section
    found = {}
    for line in rows[0].splitlines()[2:]:
        names, _, default, _ = re.split(r"(?<!\\) \| ", line.strip("| "), maxsplit=3)
        found.update(dict.fromkeys(re.findall(r"`(\w+)`", names), default.strip("`")))
    return found


@pytest.mark.parametrize(
    ("section", "call"),
    [("### Handler options", perdure.System.handler), ("## System", perdure.System), ("### Schedules", perdure.System.every)],
)
def test_documented_defaults_are_those_of_the_signature(section: str, call: Callable[..., object]) -> None:
    """A default that is a literal on the page equals the one in the code; others are described in words."""
    parameters = inspect.signature(call).parameters
    compared = 0
    for name, text in defaults(section).items():
        if name not in parameters:
            continue
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            continue
        assert value == parameters[name].default, name
        compared += 1
    assert compared > 1, "the table is not read"


def test_table_of_rights_is_that_of_the_code() -> None:
    section = API.partition("\n### Rights\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| `(viewer|operator|administrator)` \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(name, action.least, action.meaning) for name, action in ACTIONS.items()]
