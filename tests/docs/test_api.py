"""docs/API.md names everything that users may call; its examples run as tests of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import perdure
from perdure.admin import Actors, Admin
from perdure.dead_letters import DeadLetters

API = (Path(__file__).parents[2] / "docs" / "API.md").read_text(encoding="utf-8")
INNER = {
    "System": {"stage", "relay", "publish_drafts", "ask", "drafts", "options", "clock"},  # between the parts of the front door
    "Context": {"drafts", "facts", "process"},  # between a context and its worker
    "BatchItem": {"drafts", "facts", "process"},
    "OutboxRelay": {"read", "delete", "name", "every_s"},  # what the relay calls
    "Batch": {"index", "count"},  # of every sequence
}
"""Public to our own rooms only."""


def is_told(name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", API) is not None


@pytest.mark.parametrize("name", perdure.__all__)
def test_every_public_name_is_told(name: str) -> None:
    assert is_told(name)


@pytest.mark.parametrize(
    "kind",
    [
        perdure.System,
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
    ],
)
def test_every_public_method_is_told(kind: type) -> None:
    names = {name for name in dir(kind) if not name.startswith("_")} - INNER.get(kind.__name__, set())
    assert sorted(name for name in names if not is_told(name)) == []
