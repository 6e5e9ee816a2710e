"""An error of the operating system is told with what to do about it, where that is known."""

from __future__ import annotations

import errno
import os

import pytest

from perdure.store.disk.advice import ADVICE, with_advice


@pytest.mark.parametrize("number", ADVICE, ids=errno.errorcode.__getitem__)
def test_what_is_told_fits_into_a_sentence(number: int) -> None:
    told = with_advice(OSError(number, os.strerror(number)))
    assert told == f"{os.strerror(number)}. {ADVICE[number]}"
    assert not told.endswith(".")


def test_an_error_that_is_not_known_is_told_as_it_is() -> None:
    assert with_advice(OSError("the network is down")) == "the network is down"
    assert with_advice(OSError(errno.EILSEQ, "no such text")) == "no such text"
