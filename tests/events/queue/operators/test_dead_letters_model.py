"""The dead letters against a plain model: a list of pairs, and every search a walk through it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.codec.snapshot import States, dump_dead_letters, fold
from perdure.events.errors import UnknownMessage
from perdure.events.queue import dead_letters as letters
from perdure.events.queue.searching import letter_search
from tests.effort import examples

TYPES = ("a", "b")
REASONS = ("failed 3 times: ValueError", "rejected: no STOCK", "lost")
WORDS = (None, "failed", "stock", "VALUE", "nowhere")
PAYLOADS = (b"", b"x", b"xyz")


class Letters(RuleBasedStateMachine):
    """Burials, replays, purges, of known and unknown numbers; nothing but the queue decides them, so any order must do."""

    def __init__(self) -> None:
        super().__init__()
        self.state = letters.DeadLettersState()
        self.replayed = States(parts=frozenset({"dead_letters"}))
        self.plain: list[tuple[ev.DeadLettered, int]] = []
        """Oldest first, with the time of each death."""
        self.risen: list[ev.DeadLettered] = []
        self.now_us = 1_000
        self.number = 0

    def take(self, event: ev.Event) -> None:
        letters.evolve(self.state, event, self.now_us, self.replayed.seq + 1)
        fold(self.replayed, wire.decode(wire.encode([(self.now_us, [event])]), 1), self.replayed.seq + 1)

    @rule(kind=st.sampled_from(TYPES), reason=st.sampled_from(REASONS), payload=st.sampled_from(PAYLOADS), later=st.integers(0, 5))
    def bury(self, kind: str, reason: str, payload: bytes, later: int) -> None:
        self.now_us += later
        self.number += 1
        published = ev.Published(self.number, f"id{self.number}", kind, payload)
        self._die(ev.DeadLettered(self.number, published, reason, 3, "E", "boom", "", [ev.FailureNote(1, 3, "E", "boom")]))

    @precondition(lambda self: self.risen)
    @rule(pick=st.integers(0, 99))
    def die_again(self, pick: int) -> None:
        """What was replayed can die again, under its old number, as the newest."""
        self._die(self.risen.pop(pick % len(self.risen)))

    def _die(self, event: ev.DeadLettered) -> None:
        self.take(event)
        self.plain.append((event, self.now_us))

    @precondition(lambda self: self.plain)
    @rule(pick=st.integers(0, 99), purge=st.booleans())
    def leave(self, pick: int, purge: bool) -> None:
        event, _ = self.plain.pop(pick % len(self.plain))
        if purge:
            self.take(ev.Purged(event.number, "test"))
        else:
            self.take(ev.Replayed(event.number, event.published, 0, []))
            self.risen.append(event)

    @rule(purge=st.booleans())
    def leave_of_none(self, purge: bool) -> None:
        unknown = ev.Published(10**6, "unknown", "a", b"zz")
        self.take(ev.Purged(10**6, "test") if purge else ev.Replayed(10**6, unknown, 0, []))

    @rule(
        kind=st.sampled_from([None, *TYPES]),
        word=st.sampled_from(WORDS),
        age=st.none() | st.integers(0, 20),
        limit=st.none() | st.integers(0, 4),
        pick=st.none() | st.integers(0, 99),
    )
    def search(self, kind: str | None, word: str | None, age: int | None, limit: int | None, pick: int | None) -> None:
        """Newest first; all conditions must hold."""
        before_us = None if age is None else self.now_us - age
        after = None if pick is None or not self.plain else self.plain[pick % len(self.plain)][0].number
        found = letter_search.select(self.state, letter_search.Selection(None, kind, word, before_us, after, limit))
        expected = []
        passed = after is None
        for event, at_us in reversed(self.plain):
            text = f"{event.reason} {event.exception} {event.message}".lower()
            meant = kind in (None, event.published.type) and (word is None or word.lower() in text)
            if passed and meant and (before_us is None or at_us < before_us):
                expected.append((event.number, at_us))
            passed = passed or event.number == after
        assert [(letter.event.number, letter.failed_us) for letter in found] == expected[:limit]

    @rule(size=st.integers(1, 3))
    def page_through(self, size: int) -> None:
        """Pages hold every letter once."""
        seen: list[int] = []
        page = letter_search.select(self.state, letter_search.Selection(limit=size))
        while page:
            seen += [letter.event.number for letter in page]
            page = letter_search.select(self.state, letter_search.Selection(limit=size, older_than=seen[-1]))
        assert seen == [event.number for event, _ in reversed(self.plain)]

    @rule()
    def page_on_from_one_that_left(self) -> None:
        """The page after a letter that is gone is not the first page again."""
        with pytest.raises(UnknownMessage, match="no longer"):
            letter_search.select(self.state, letter_search.Selection(older_than=10**6))

    @invariant()
    def they_agree(self) -> None:
        assert [(letter.event, letter.failed_us) for letter in self.state.letters.values()] == self.plain
        assert self.state.payload_bytes == sum(len(event.published.payload) for event, _ in self.plain)
        for event, _ in self.plain:
            (found,) = letter_search.select(self.state, letter_search.Selection(id=event.published.id))
            assert found.event == event
        for gone in (*self.risen, None):
            ident = "unknown" if gone is None else gone.published.id
            assert letter_search.select(self.state, letter_search.Selection(id=ident)) == []

    @invariant()
    def they_count_the_same(self) -> None:
        stats = letter_search.stats(self.state)
        times = [at_us for _, at_us in self.plain]
        assert stats.total == len(self.plain)
        assert stats.by_type == Counter(event.published.type for event, _ in self.plain)
        assert stats.by_reason == Counter(event.reason for event, _ in self.plain)
        assert (stats.oldest_us, stats.newest_us) == (min(times, default=None), max(times, default=None))

    @invariant()
    def live_state_is_the_fold_and_the_snapshot(self) -> None:
        assert dump_dead_letters(self.replayed.dead_letters) == dump_dead_letters(self.state)
        again = States.decode(self.replayed.encode()).dead_letters
        assert dump_dead_letters(again) == dump_dead_letters(self.state)
        assert (again.by_id, again.payload_bytes) == (self.state.by_id, self.state.payload_bytes)


Letters.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=30, deadline=None)
TestLetters = Letters.TestCase
