"""An auditor's question about last Tuesday, answered with the shell alone, beside the live system and from its backup."""

from __future__ import annotations

import csv
import datetime as dt
import json
from typing import TYPE_CHECKING

import attrs
import pytest
from typer.testing import CliRunner

import perdure
from perdure.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 60.0
TUESDAY = dt.datetime(2026, 11, 17, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@perdure.message(name="Payment")
@attrs.frozen
class Payment:
    customer: str
    amount: int


def shell(*words: object) -> str:
    """Run a command that ends well; return what it prints."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


@pytest.fixture
def live(folder: Path) -> Iterator[perdure.System]:
    """A system with a history: orders on Tuesday from 9:00, a pause at 10:00, the rest handled on Wednesday."""
    clock = perdure.ManualClock(round(TUESDAY.timestamp() * 1_000_000))
    system = perdure.System(folder, clock=clock, options=perdure.Options(retries=0))

    @system.handler(Payment)
    def pay(payment: Payment) -> None:
        if payment.customer == "carl":
            msg = "the account is closed"
            raise PermissionError(msg)

    with system:
        for number, customer in enumerate(("anna", "bert", "carl")):
            system.publish(Payment(customer, number), id=f"P-{number}")
        system.drain(timeout=PATIENCE_S)
        clock.advance(HOUR.total_seconds())
        with perdure.acting_as("olga", reason="the bank is down"):
            system.admin.pause("Payment")
        system.publish(Payment("dora", 4), id="P-3")
        clock.advance(24 * HOUR.total_seconds())
        with perdure.acting_as("olga", reason="the bank is up"):
            system.admin.resume("Payment")
        system.drain(timeout=PATIENCE_S)
        yield system


@pytest.mark.usefixtures("live")
def test_what_waited_at_half_past_ten_why_and_what_became_of_it(folder: Path, tmp_path: Path) -> None:
    # "Which payments waited last Tuesday at half past ten?"
    half_past_ten = (TUESDAY + 1.5 * HOUR).isoformat()
    then = json.loads(shell("state", folder, "--at", half_past_ten, "--json"))
    assert (then["ready"], then["completed"], then["dead_letters"]) == (1, 2, 1)
    assert "P-3" in shell("search", folder, "type=Payment", "payload.customer=dora", "--until", half_past_ten)
    # "Why? By whose order?"
    assert "paused" in shell("explain", folder, "P-3", "--at", half_past_ten)
    acts = shell("acts", folder)
    assert "olga" in acts
    assert "the bank is" in acts
    assert "PAUSED: Payment" in shell("stats", folder, "--at", half_past_ten)
    by_type = json.loads(shell("stats", folder, "--at", half_past_ten, "--json"))
    assert (by_type["types"]["Payment"]["ready"], by_type["paused"]) == (1, {"all": False, "types": ["Payment"]})
    tuesday = shell("acts", folder, "--until", half_past_ten)
    assert "the bank is down" in tuesday
    assert "the bank is up" not in tuesday
    assert "no operator has acted on this folder from 2026-11-17T11:00+00:00 on, up to 2026-11-17T12:00+00:00" in shell(
        "acts", folder, "--since", "2026-11-17T11:00+00:00", "--until", "2026-11-17T12:00+00:00"
    )
    # "What became of it? And what changed until today?"
    assert "It was handled at 2026-11-18" in shell("explain", folder, "P-3")
    assert "completed" in shell("diff", folder, half_past_ten)
    # "Show me the one that failed."
    assert "PermissionError" in shell("timeline", folder, "P-2")
    # "Give me that day as a table, and prove that nothing was edited."
    shell("export", folder, "--format", "csv", "-o", tmp_path / "tuesday.csv", "--until", (TUESDAY + 15 * HOUR).isoformat())
    with (tmp_path / "tuesday.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert {row["at"][:10] for row in rows} == {"2026-11-17"}
    assert {row["message_id"] for row in rows if row["event"] == "Published"} == {"P-0", "P-1", "P-2", "P-3"}
    head = shell("verify", folder).rsplit("head ", 1)[1]
    assert "is unchanged" in shell("verify", folder, "--head", head)


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("command", ["state", "stats"])
def test_a_moment_before_the_log_is_told_as_one(folder: Path, command: str) -> None:
    """Not as a state of noughts, of the year 1970."""
    told = shell(command, folder, "--at", "2026-11-10T12:00+00:00")
    assert told == "nothing was in this log yet at that moment: it begins at 2026-11-17 09:00:00 UTC"


@pytest.mark.usefixtures("live")
def test_the_day_itself_is_opened_from_a_backup(folder: Path, tmp_path: Path) -> None:
    shell("backup", folder, tmp_path / "backup")
    half_past_ten = (TUESDAY + 1.5 * HOUR).isoformat()
    told = shell("restore", tmp_path / "backup", tmp_path / "tuesday", "--to", half_past_ten)
    assert told.replace(" ", "").endswith(f"Tolookatthisonefirst:perduredelete{tmp_path}/tuesday".replace("delete", "pause"))
    assert json.loads(shell("state", tmp_path / "tuesday", "--json"))["ready"] == 1
    assert "PAUSED: Payment" in shell("stats", tmp_path / "tuesday")
