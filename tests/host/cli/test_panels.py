"""`perdure --help` shows the commands in groups: what looks comes first, and no command is outside of a group."""

from __future__ import annotations

import typer

from perdure.cli.main import app
from perdure.cli.panels import OF_CHAOS, PANELS
from tests import programs


def test_each_command_is_in_one_group() -> None:
    grouped = [name for names in PANELS.values() for name in names]
    assert sorted(grouped) == sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group of commands


def test_text_of_each_command_breaks_where_the_terminal_ends_and_nowhere_else() -> None:
    shown = programs.run(["-m", "perdure", "restore", "--help"], timeout=60, env={"COLUMNS": "80"}).stdout
    text = [line.strip() for line in shown.split("╭", 1)[0].splitlines()]
    assert "would handle what waits: start only one of them, or run `perdure pause FOLDER`" in text


def test_help_shows_the_groups_in_order() -> None:
    shown = programs.run(["-m", "perdure", "--help"], timeout=60).stdout
    places = [shown.index(f"─ {panel} ─") for panel in (*PANELS, OF_CHAOS)]
    assert places == sorted(places)
