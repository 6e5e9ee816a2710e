"""Options from code, file and environment, where each overrides the one before; the error of a wrong one has its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.config import load, load_handlers, trace

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


def test_variable_that_looks_misspelt_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert load(environ={"PERDURE_BACKLOG_MXA": "5", "PERDURE_KILLS": "3", "PERDURE_HANDLER_A__RETRIES": "1"}) == perdure.Options()
    assert caplog.messages == ["environment variable PERDURE_BACKLOG_MXA sets nothing; did you mean PERDURE_BACKLOG_MAX?"]


def test_file_is_read_where_it_is_named_and_never_from_the_working_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(environ={"PERDURE_CONFIG": str(file)}).backlog_max == 5_000
    monkeypatch.chdir(file.parent)
    assert load(environ={}) == load(environ={"PERDURE_CONFIG": ""}) == perdure.Options()
    assert list(load_handlers(environ={}).sources()) == []
    assert perdure.System("data").options == perdure.Options()
    assert "the perdure.toml in the working directory is not read" in caplog.text
    assert perdure.System("data", config="perdure.toml").options.backlog_max == 5_000
    with pytest.raises(FileNotFoundError):
        load(path=file.parent / "missing.toml", environ={})


def test_options_in_force_are_logged_with_their_sources(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    traced = trace(perdure.Options(retries=9, grace_s=1.0), path=file, environ={"PERDURE_BACKLOG_BYTES": "2MiB"})
    sources = {name: source for name, source in traced.sources.items() if source != "default"}
    table = f"{file}, table [perdure]"
    variable = "environment variable PERDURE_BACKLOG_BYTES"
    assert sources == {"retries": "code", "grace_s": table, "backlog_max": table, "segment_bytes": table, "backlog_bytes": variable}
    caplog.set_level("INFO", logger="perdure")
    with perdure.System(tmp_path / "data", config=file):
        pass
    assert f"backlog_max=5000 ({table})" in caplog.text
    assert f"configuration file {file}" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[perdure]\nbaklog_max = 1\n", r"perdure.toml, table \[perdure\]: .*'baklog_max'; did you mean backlog_max\?"),
        ("[perdure]\nretries = -1\n", r"retries = -1 is not valid: .*>= 0"),
        ('[perdure]\nretries = "many"\n', r"retries = 'many' is not valid"),
        ('[perdure]\ndurability = "maybe"\n', r"durability = 'maybe' is not valid: .*'fsync'"),
        ('[perdure]\nsegment_bytes = "1 parsec"\n', r"parsec.*KiB"),
        ("perdure = 3\n", "must be a table"),
        ("[perdure\n", "not a TOML file"),
    ],
)
def test_error_of_a_wrong_option_has_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "perdure.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(path=path, environ={})
    with pytest.raises(ValueError, match="environment variable PERDURE_RETRIES: retries = 'x'"):
        load(environ={"PERDURE_RETRIES": "x"})


def test_system_takes_them(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_CONFIG", str(file))
    monkeypatch.setenv("PERDURE_RETRIES", "2")
    system = perdure.System(folder)
    assert (system.options.backlog_max, system.options.retries) == (5_000, 2)


HANDLERS = """
[handlers."shop.OrderPlaced"]
parallelism = [2, 8]
timeout_s = 5
retries = inf
rate = "100/s"
[handlers."shop.Typo"]
lease_s = 30.5
"""


@perdure.message(name="shop.OrderPlaced")
@attrs.frozen
class OrderPlaced:
    order: str


def test_handler_options_from_file_and_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Code, file, environment: each is stronger, option by option, and what holds is on record."""
    (tmp_path / "perdure.toml").write_text(HANDLERS)
    monkeypatch.setenv("PERDURE_CONFIG", str(tmp_path / "perdure.toml"))
    monkeypatch.setenv("PERDURE_HANDLER_SHOP_ORDERPLACED__TIMEOUT_S", "0.25")
    monkeypatch.setenv("PERDURE_HANDLER_SHOP_ORDERPLACD__RETRIES", "3")
    system = perdure.System(folder)
    system.handler(OrderPlaced, parallelism=1, timeout=60.0, lease=50.0, retries=0)(lambda message: None)
    with system:
        (record,) = system.audit.events(type="HandlerRegistered")
        event: Any = record.event
        assert (event.parallelism, event.parallelism_max, event.retries) == (2, 8, -1)
        assert (event.timeout_us, event.lease_us, event.more["rate_per_s"]) == (250_000, 50_000_000, 100.0)
        assert system.admin.handlers()["shop.OrderPlaced"].parallelism == 2
    told = [record.getMessage() for record in caplog.records if "is for no handler" in record.getMessage()]
    assert len(told) == 2
    assert any("shop.Typo" in text for text in told)
    assert any("ORDERPLACD__RETRIES" in text and "did you mean SHOP_ORDERPLACED?" in text for text in told)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("parallelism", "2-8", (2, 8)),
        ("parallelism", "4", 4),
        ("renew", "true", True),
        ("retries", "inf", float("inf")),
        ("rate", "30/m", "30/m"),
        ("rate", "2.5", 2.5),
        ("backoff_s", "0.5", 0.5),
        ("memory_bytes", "100_000_000", 100_000_000),
        ("dedup", "reject", "reject"),
    ],
)
def test_handler_options_as_texts(name: str, text: str, value: object) -> None:
    settings = load_handlers(environ={f"PERDURE_HANDLER_A_B__{name.upper()}": text})
    assert list(settings.of("a.b").values()) == [value]
    assert not settings.of("a.c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[handlers."a"]\ntimout_s = 1\n', r'table \[handlers."a"\]: .*\'timout_s\'; did you mean timeout_s\?'),
        ('[handlers."a"]\ntimeout_s = -1\n', r"timeout_s = -1 is not valid: .*seconds above 0"),
        ('[handlers."a"]\nretries = -1\n', r"retries = -1 is not valid: .*0 or more"),
        ('[handlers."a"]\nretries = 1.5\n', r"retries = 1.5 is not valid: .*0 or more"),
        ('[handlers."a"]\nparallelism = [8, 2]\n', r"parallelism = \[8, 2\] is not valid: .*8 or more"),
        ('[handlers."a"]\nrate = "fast"\n', r"rate = 'fast' is not valid: .*100/s"),
        ('[handlers."a"]\nrenew = "perhaps"\n', r"renew = 'perhaps' is not valid: .*true or false"),
        ('[handlers."a"]\ndedup = "maybe"\n', r"dedup = 'maybe' is not valid: .*'replace'"),
        ("[handlers]\na = 3\n", "must be a table"),
        ("handlers = 3\n", "must be a table"),
    ],
)
def test_error_of_a_wrong_handler_option_has_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "perdure.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_handlers(path=path, environ={})
    with pytest.raises(ValueError, match="environment variable PERDURE_HANDLER_A__LEASE_S: lease_s = 'x'"):
        load_handlers(environ={"PERDURE_HANDLER_A__LEASE_S": "x"})


def test_handler_options_that_do_not_go_together_say_where_they_come_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_HANDLER_SHOP_ORDERPLACED__MEMORY_BYTES", "100000000")
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match="only a process") as caught:
        system.handler(OrderPlaced)(lambda message: None)
    assert "set from outside the code for shop.OrderPlaced: {'memory_limit': 100000000}" in caught.value.__notes__


@pytest.mark.parametrize("text", ["retries = 5", "history = 'drop'"])
def test_an_option_outside_of_its_table_is_refused(tmp_path: Path, text: str) -> None:
    """It would set nothing, silently."""
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"own\.toml: \w+ stands outside of a table, .* \[perdure\]"):
        load(path=file, environ={})


@pytest.mark.parametrize(("table", "meant"), [("perdur", "perdure"), ("options", "perdure"), ("handler", "handlers")])
def test_a_table_that_looks_misspelt_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str, meant: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f"[{table}]\nretries = 5\n[tool.other]\nretries = 5\n")
    assert load(path=file, environ={}) == perdure.Options()
    (record,) = caplog.records
    assert f"[{table}] sets nothing; did you mean [{meant}]" in record.message
