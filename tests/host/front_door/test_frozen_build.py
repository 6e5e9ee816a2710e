"""A system runs in a build without package metadata, such as a program frozen into one file."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.host.conftest import Until


def test_missing_metadata_does_not_fail_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with perdure.System(folder) as system:
        assert system.publish("text")
        until(lambda: list(system.audit.events(type="Started")))  # its supervisor puts that on record while others are at work
        (started,) = system.audit.events(type="Started")
        assert "unknown" in repr(started.event)
