"""Frames: whole however they arrive, bounded before memory is taken, and never anything else than a frame or a refusal."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.actors.sessions.framing.wire import FRAME_MAX, HELLO_MAX, Assembler, BadFrame, Kind, pack

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(cuts=st.lists(st.integers(1, 40), max_size=20))
def test_frames_arrive_whole_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    frames: list[tuple[Kind, list[Any]]] = [(Kind.HELLO, [1, "me"]), (Kind.ASK, [[1, 1, "queue", b"x" * 100]]), (Kind.PING, [])]
    stream = b"".join(pack(kind, *elements) for kind, elements in frames)
    assembler, found, at = Assembler(), [], 0
    for cut in [*cuts, len(stream)]:
        found += list(assembler.feed(stream[at : at + cut]))
        at += cut
    assert found == frames


def test_a_length_beyond_the_bound_is_refused_before_its_bytes_come() -> None:
    with pytest.raises(BadFrame, match="at most"):
        list(Assembler().feed((FRAME_MAX + 1).to_bytes(4, "little")))


def test_an_object_in_a_frame_does_not_hold_its_stream() -> None:
    assembler = Assembler()
    frame = pack(Kind.ASK, msgspec.msgpack.Ext(5, b"x" * 100))
    ((_, first),) = assembler.feed(frame)
    ((_, second),) = assembler.feed(frame)
    assert first == second


def test_the_first_frame_of_a_stranger_is_small() -> None:
    assembler = Assembler(HELLO_MAX)
    with pytest.raises(BadFrame):
        list(assembler.feed((HELLO_MAX + 1).to_bytes(4, "little")))


@UNHURRIED
@given(data=st.binary(max_size=200))
def test_any_bytes_are_frames_or_are_refused(data: bytes) -> None:
    try:
        for kind, elements in Assembler().feed(data):
            assert isinstance(kind, Kind)
            assert isinstance(elements, list)
    except BadFrame:
        pass


@UNHURRIED
@given(body=st.binary(min_size=1, max_size=100))
def test_any_body_is_a_frame_or_is_refused(body: bytes) -> None:
    with contextlib.suppress(BadFrame):
        list(Assembler().feed(len(body).to_bytes(4, "little") + body))
