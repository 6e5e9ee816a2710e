"""Errors of a request without an answer: what happened, to what, and what to do, in a few sentences."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from perdure.processes.to_owner.no_owner import NoAnswer, why_no_answer

FOLDER = Path("orders")


def test_an_error_of_this_process_is_not_taken_for_a_missing_owner() -> None:
    for number, says in (
        (errno.EMFILE, r"Too many open files\. Close files .*`ulimit -n`\)\.$"),
        (errno.ENOMEM, r"Cannot allocate memory\. Give this process more memory\.$"),
    ):
        found = why_no_answer(FOLDER, None, "", f"orders/owner.sock: {os.strerror(number)}", is_connected=False)
        assert re.match(
            rf"this process cannot connect to the owner of the folder orders: orders/owner\.sock: {says}",
            f"{found.why}. {found.advice}",
        )


@pytest.mark.parametrize(
    ("pid", "refusal", "is_connected", "says"),
    [
        (7, "", True, r"process 7, which owns the folder orders, does not answer\. If it is stopped, `kill -CONT 7`"),
        (None, "", True, r"a process of another pid namespace, .* `kill -CONT PID`"),
        (7, "it has another user.", False, r"process 7, which owns the folder orders, refuses: it has another user\. $"),
        (None, "", False, r"no process owns the folder orders: nothing listens\. Start one with `.*shared=True\)`"),
    ],
    ids=["silent", "silent, in another container", "it refuses", "there is none"],
)
def test_why_there_is_no_answer_and_what_to_do(pid: int | None, refusal: str, is_connected: bool, says: str) -> None:
    found = why_no_answer(FOLDER, pid, refusal, "nothing listens", is_connected=is_connected)
    assert isinstance(found, NoAnswer)
    assert re.match(says, f"{found.why}. {found.advice}")
