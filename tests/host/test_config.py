"""Options from code, file and environment, in that order of increasing strength; a wrong one is told with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.config import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "perdure.toml"
    path.write_text('[perdure]\nbacklog_max = 5_000\nsegment_bytes = "1 MiB"\ngrace_s = 3\n[other]\nx = 1\n')
    return path


def test_each_source_is_stronger_than_the_one_before(file: Path) -> None:
    code = perdure.Options(backlog_max=7, retries=9, grace_s=1.0)
    options = load(code, path=file, environ={"PERDURE_GRACE_S": "0.5", "PERDURE_BACKLOG_BYTES": "2MiB", "PERDURE_KILLS": "3"})
    assert (options.retries, options.backlog_max, options.grace_s) == (9, 5_000, 0.5)
    assert (options.segment_bytes, options.backlog_bytes) == (1 << 20, 2 << 20)


def test_file_is_found_by_its_variable_or_in_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(environ={"PERDURE_CONFIG": str(file)}).backlog_max == 5_000
    monkeypatch.chdir(file.parent)
    assert load(environ={}).backlog_max == 5_000
    monkeypatch.chdir(file.parent.parent)
    assert load(environ={}) == perdure.Options()
    with pytest.raises(FileNotFoundError):
        load(path=file.parent / "missing.toml", environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[perdure]\nbaklog_max = 1\n", r"perdure.toml, table \[perdure\]: .*'baklog_max'; did you mean backlog_max\?"),
        ("[perdure]\nretries = -1\n", r"retries = -1 cannot be: .*>= 0"),
        ('[perdure]\nretries = "many"\n', r"retries = 'many' cannot be"),
        ('[perdure]\ndurability = "maybe"\n', r"durability = 'maybe' cannot be: .*'fsync'"),
        ('[perdure]\nsegment_bytes = "1 parsec"\n', r"parsec.*KiB"),
        ("perdure = 3\n", "to be a table"),
        ("[perdure\n", "no TOML"),
    ],
)
def test_wrong_option_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "perdure.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(path=path, environ={})
    with pytest.raises(ValueError, match="environment variable PERDURE_RETRIES: retries = 'x'"):
        load(environ={"PERDURE_RETRIES": "x"})


def test_system_takes_them(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("PERDURE_RETRIES", "2")
    system = perdure.System(folder)
    assert (system.options.backlog_max, system.options.retries) == (5_000, 2)
