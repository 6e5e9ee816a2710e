"""A system runs in a build without package metadata, such as a program frozen into one file."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_missing_metadata_does_not_fail_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with perdure.System(folder) as system:
        assert system.publish("text")
        (started,) = system.audit.events(type="Started")
        assert "unknown" in repr(started.event)
