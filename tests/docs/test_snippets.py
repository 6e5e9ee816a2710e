"""What README.md and docs/ show besides the examples of API.md: commands exist with their options, and Python runs as written.

Examples that begin with `>>>` run as doctests, and files of TESTING.md in tests/chaos/cli.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
import typer.main

import perdure
import perdure.console
from perdure.chaos.cli import commands as chaos_commands
from perdure.cli import main as cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PATIENCE_S = 60.0


def run(block: str, names: dict[str, Any]) -> None:
    """Run a block of our own pages; what it defines is added to the names."""
    exec(block, names)  # noqa: S102 - of our own page


def commands() -> list[tuple[str, str]]:
    """Return each command line on the pages, with its page: whole lines of shell blocks, and what stands between backticks."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^```(?:sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            found += [
                (page.name, line) for line in re.findall(r"(?:^|&& )(perdure [a-z].*?)(?: &)?(?:  .*|#\s.*)?$", block, re.MULTILINE)
            ]
        found += [
            (page.name, line)
            for line in re.findall(r"`(perdure (?:-|[a-z]).*?)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
        ]
    return sorted(set(found))


@cache
def whole_command_line() -> Any:
    """Return the command line with the commands of chaos/, which `main` adds from their entry points."""
    others = typer.Typer()
    others.add_typer(chaos_commands.app, name="chaos")
    others.command("soak")(chaos_commands.soak)
    command: Any = typer.main.get_command(cli.app)
    added: Any = typer.main.get_command(others)
    command.commands |= added.commands
    return command


@pytest.mark.parametrize(("page", "line"), commands())
def test_each_command_that_a_page_names_exists_with_its_options(page: str, line: str) -> None:
    del page
    command = whole_command_line()
    words = shlex.split(re.sub(r"[\[\]]", " ", line))[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, line
        command, words = command.commands[words[0]], words[1:]
        options |= {option for parameter in command.params for option in parameter.opts}
    named = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
    assert named - {"--help", "--install-completion", "--version"} <= options


@perdure.message(name="docs.Placed")
@attrs.frozen
class Placed:
    """The message of docs/HOSTS.md."""

    order: str


def blocks(page: str, *, having: str) -> list[str]:
    """Return the Python blocks of a page that contain a text."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [block for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if having in block]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, with a module `orders` as docs/HOSTS.md imports it."""
    monkeypatch.chdir(tmp_path)
    orders: Any = types.ModuleType("orders")
    orders.Placed = Placed
    monkeypatch.setitem(sys.modules, "orders", orders)
    return tmp_path


def test_the_asyncio_program_runs_as_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("HOSTS.md", having="asyncio.run(main())")
    run(block, {"perdure": perdure, "asyncio": asyncio, "Placed": Placed})
    assert capsys.readouterr().out == "Placed(order='A')\n"
    assert (here / "orders-data").is_dir()


def test_the_fastapi_application_runs_as_written(here: Path) -> None:
    testing = pytest.importorskip("fastapi.testclient")
    (block,) = blocks("HOSTS.md", having="from fastapi import")
    names: dict[str, Any] = {}
    run(block, names)
    with perdure.System("orders-data", shared=True) as worker, testing.TestClient(names["app"]) as browser:
        assert browser.post("/orders/A").json() == {"id": "order-A"}
        assert worker.state("order-A").status == "ready"
    assert here.is_dir()


def test_the_flask_application_runs_as_written(here: Path) -> None:
    pytest.importorskip("flask")
    (block,) = blocks("HOSTS.md", having="from flask import")
    names: dict[str, Any] = {"Placed": Placed, "__name__": __name__}
    run(block, names)
    app = names["create_app"]()
    with names["queue"].system(app) as worker:
        answer = app.test_client().post("/orders/A")
        assert answer.status_code == 202
        worker.drain(timeout=PATIENCE_S)
        assert worker.state(answer.json["id"]).status == "completed"
    assert here.is_dir()


def test_the_pieces_of_telemetry_run_as_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prometheus = pytest.importorskip("prometheus_client")
    starlette = pytest.importorskip("starlette.applications")
    testing = pytest.importorskip("starlette.testclient")
    served: list[int] = []
    monkeypatch.setattr(prometheus, "start_http_server", served.append)
    first, scraped, timed, health = blocks("TELEMETRY.md", having="perdure.telemetry")
    for block in (first, timed):
        system_line, client_line = (re.search(rf"^{name} = .*$", block, re.MULTILINE) for name in ("system", "client"))
        assert system_line is not None
        assert client_line is not None
        names: dict[str, Any] = {"perdure": perdure}
        made = block.replace("perdure.System(", "perdure.System(shared=True, folder=").replace(client_line.group(), "")
        run(made, names)
        with names["system"] as system:
            run(client_line.group(), names)
            with names["client"] as client:
                client.publish(Placed("A"))
                assert system.checkout(Placed) is not None
            app = starlette.Starlette()
            run(scraped, {"system": system})
            run(health, {"system": system, "app": app})
            with testing.TestClient(app) as browser:
                assert browser.get("/health/live").status_code == browser.get("/health/ready").status_code == 200
            for collector in [*prometheus.REGISTRY._collector_to_names]:
                if type(collector).__module__.startswith("perdure."):
                    prometheus.REGISTRY.unregister(collector)
    assert served == [9100, 9100]
    assert here.is_dir()


def test_the_console_is_mounted_as_written(here: Path) -> None:
    starlette = pytest.importorskip("starlette.applications")
    testing = pytest.importorskip("starlette.testclient")
    (mounted, _cluster) = blocks("CONSOLE.md", having="app.mount(")
    app = starlette.Starlette()
    with perdure.System(here / "orders-data") as system:
        made = mounted.replace("authorize=...", "authorize=lambda *_: True").replace(
            'lambda request: request.session.get("user")', 'lambda request: "ann"'
        )
        assert made != mounted
        run(made, {"app": app, "perdure": perdure, "system": system})
        with testing.TestClient(app, base_url="https://shop.example.com") as browser:
            assert browser.get("/queue/").status_code == 200
