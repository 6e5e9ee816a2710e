"""No name of a message or folder and no error text can control the terminal, forge a line, or act as markup."""

from __future__ import annotations

import io
import os
import re
import subprocess
import unicodedata
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table

import perdure
from perdure.cli import main as cli
from perdure.cli.act import dead_letters_command as cli_dead_letters
from perdure.cli.look import config_command as cli_config
from perdure.cli.terminal import Terminal, one_line
from perdure.events.safe_text import inert
from tests.programs import Program, run

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202eevil\u2066[red]markup[/] [/nothing] :bomb:\r\nperdure: whole\u2028\x00"
SAFE = inert(EVIL)
ALLOWED = re.compile(r"\x1b\[[0-9;]*m")  # what Rich itself colours with


@attrs.frozen
class Job:
    n: int


def assert_inert(text: str) -> None:
    """Fail where a control character was printed."""
    for char in ALLOWED.sub("", text):
        assert char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp", "Cs"}, repr(char)


@settings(max_examples=50, deadline=None)
@given(st.text() | st.from_regex(r"(\x1b\[[0-9]*[A-Z]|\x9b|\r\n|[\u202a-\u202e]|\[/?[a-z]*\])+"))
def test_text_is_inert(text: str) -> None:
    spelt = inert(text)
    assert_inert(spelt.replace("\u200c", "").replace("\u200d", ""))
    assert "\n" not in spelt
    assert inert(text, lines=True).count("\n") == text.count("\n")
    if text.isprintable() and text.isascii():
        assert spelt == text


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60) | st.just(EVIL))
def test_terminal_shows_any_text_as_text(text: str) -> None:
    """Applies to a string, a title, a cell and a status; brackets are not markup."""
    shown = io.StringIO()
    terminal = Terminal(file=shown, width=500, force_terminal=False)
    table = Table(text, title=one_line(text))
    table.add_row(text)
    terminal.print(text, one_line(text))
    terminal.print(table)
    terminal.print(one_line(text), soft_wrap=True)
    assert_inert(shown.getvalue().replace("\u200c", "").replace("\u200d", ""))
    assert inert(EVIL) in shown.getvalue() or text != EVIL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every name that a user chooses has control characters."""
    folder = tmp_path_factory.mktemp("top") / EVIL.replace("\x00", "").replace("/", "")
    clock = perdure.ManualClock()
    with perdure.System(folder, clock=clock, options=perdure.Options(retries=0)) as system:
        system.publish(Job(1), id=EVIL, key=EVIL, correlation_id=EVIL, headers={EVIL: EVIL}, group=EVIL)
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.heartbeat(5, EVIL)
        delivery.reject(EVIL)
        system.drafts.names.keep(EVIL, Job)
        for n in range(3):
            system.publish_drafts([system.drafts.draft(Job(n))._replace(type=EVIL)])
        again = system.checkout(EVIL)
        assert again is not None
        again.requeue(EVIL)
        system.publish(Job(2), id="cancelled")
        system.cancel("cancelled", EVIL)
        system.admin.pause()
    return folder


COMMANDS = [
    ["stats", "FOLDER"],
    ["verify", "FOLDER"],
    ["timeline", "FOLDER", EVIL],
    ["timeline", "FOLDER", f"no{EVIL}"],
    ["timeline", "FOLDER", "cancelled"],
    ["stats", f"missing{EVIL}".replace("\x00", "")],
    ["config", "FOLDER"],
    ["config", f"missing{EVIL}".replace("\x00", "")],
    ["dead-letters", "list", "FOLDER"],
    ["dead-letters", "show", "FOLDER", EVIL],
    ["dead-letters", "show", "FOLDER", f"no{EVIL}"],
    ["dead-letters", "list", "FOLDER", "--reason", EVIL, "--type", EVIL],
    ["dead-letters", "replay", "FOLDER", f"no{EVIL}"],
    ["dead-letters", "purge", "FOLDER", "--reason", f"no{EVIL}", "--yes"],
    ["repair", "FOLDER", "TARGET"],
    ["run", f"no{EVIL}"],
    ["run", f"no{EVIL}:system"],
    ["demo", f"no{EVIL}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
@pytest.mark.parametrize("on_terminal", [False, True], ids=["piped", "terminal"])
def test_every_command_prints_them_inert(
    folder: Path,
    tmp_path: Path,
    command: list[str],
    on_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "sys.argv",
        [
            "perdure",
            *(str({"FOLDER": folder, "TARGET": tmp_path / EVIL[:20].replace("\x00", "")}.get(word, word)) for word in command),
        ],
    )
    monkeypatch.setattr(cli, "_add_commands", lambda words: None)  # those of other rooms; each call would add them once more
    for module in (cli, cli_dead_letters, cli_config):
        monkeypatch.setattr(module, "console", Terminal(force_terminal=on_terminal, width=200))
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr()
    output = (
        re.sub(r"\x1b\[[?0-9;]*[hlAK]", "", (shown.out + shown.err).replace("\r", "")) if on_terminal else shown.out + shown.err
    )
    assert_inert(output)
    assert "Traceback" not in output
    assert not any(line.startswith("perdure: whole") for line in output.splitlines())


def test_every_console_of_the_commands_is_a_terminal() -> None:
    """Every command uses this console."""
    from perdure.chaos.cli import commands, fault_commands, simulation_commands

    for module in (cli, cli_dead_letters, cli_config, commands, fault_commands, simulation_commands):
        assert isinstance(module.console, Terminal)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_shows_what_it_can(encoding: str) -> None:
    """A bar of blocks, or a key in another script, ends no command."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    table = Table("key")
    table.add_row("\u2588\u2581 Stra\u00dfe \u5317")
    Terminal(file=stream, width=60).print(table, "\u2588 plain")
    stream.flush()
    shown = written.getvalue().decode(encoding)
    assert "plain" in shown
    assert ("\u00df" in shown) == (encoding != "ascii")


def test_forced_colours_in_a_pipe_are_no_screen_that_is_drawn_anew(folder: Path) -> None:
    """As FORCE_COLOR in the jobs of a CI: the command ends, and its output has no commands for a cursor."""
    with perdure.System(folder):
        pass
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        done = run(["-m", "perdure", "status", str(folder)], timeout=60, env={**os.environ, variable: "1"})
        assert done.returncode == 0, done.stderr
        assert "1 segment" in done.stdout
        assert not re.search(r"\x1b\[[?0-9;]*[A-Zhl]", done.stdout + done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_output_that_cannot_be_written_is_told_as_that_and_not_as_a_disk_that_is_full(tmp_path: Path) -> None:
    """The act is done, and whoever reads the error must not believe that it was the act that failed."""
    folder = tmp_path / "q"
    with perdure.System(folder):
        pass
    for words in (["publish", str(folder), "Job", '{"n": 1}'], ["stats", str(folder), "--json"], ["tail", str(folder)]):
        with Path("/dev/full").open("w") as full:
            program = Program(["-m", "perdure", *words], stdout=full, stderr=subprocess.PIPE)
            _, told = program.communicate(None, 60)
        assert program.wait() == 1
        assert "perdure: standard output could not be written: No space left on device. What the command had done" in told
    with perdure.System(folder) as system:
        assert system.admin.metrics().ready == 1
