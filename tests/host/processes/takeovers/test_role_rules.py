"""The table of roles: what a shared System does about each thing that happens to it."""

from __future__ import annotations

import itertools

from perdure.processes.role_rules import OWNERSHIP, Act, Event, Ownership, State, step


def led(*events: Event, ownership: Ownership = "auto", state: State = State.SEEKING) -> tuple[State, list[Act]]:
    acts = []
    for event in events:
        state, act = step(state, event, ownership)
        acts.append(act)
    return state, acts


def test_a_free_lock_makes_an_owner() -> None:
    assert led(Event.UNREACHED, Event.LOCK_TAKEN, Event.RECOVERED) == (State.OWNER, [Act.TRY_LOCK, Act.RECOVER, Act.NOTHING])


def test_a_lock_of_another_process_makes_a_member() -> None:
    assert led(Event.UNREACHED, Event.LOCK_HELD, Event.WELCOMED) == (State.MEMBER, [Act.TRY_LOCK, Act.CONNECT, Act.NOTHING])


def test_a_member_tries_the_lock_as_soon_as_its_owner_is_lost_and_joins_the_one_that_was_faster() -> None:
    assert led(Event.LOST, Event.LOCK_HELD, Event.UNREACHED, Event.LOCK_HELD, Event.WELCOMED, state=State.MEMBER) == (
        State.MEMBER,
        [Act.TRY_LOCK, Act.CONNECT, Act.TRY_LOCK, Act.CONNECT, Act.NOTHING],
    )


def test_a_log_that_cannot_be_read_leaves_the_folder_to_others_and_is_tried_again() -> None:
    assert led(Event.FAILED, Event.UNREACHED, state=State.RECOVERING) == (State.SEEKING, [Act.BACK_OFF, Act.TRY_LOCK])


def test_a_process_that_never_owns_the_folder_never_tries_its_lock() -> None:
    assert all(step(state, event, "never")[1] is not Act.TRY_LOCK for state in State for event in Event)


def test_a_process_that_prefers_to_own_the_folder_asks_for_it_and_gives_it_to_no_other() -> None:
    assert step(State.SEEKING, Event.WELCOMED, "prefer") == (State.MEMBER, Act.ASK)
    assert step(State.OWNER, Event.ASKED, "prefer") == (State.OWNER, Act.REFUSE)
    assert led(Event.ASKED, Event.YIELDED, Event.WELCOMED, state=State.OWNER) == (
        State.MEMBER,
        [Act.YIELD, Act.CONNECT, Act.NOTHING],
    )


def test_only_the_lock_leads_to_the_log_and_only_a_stop_or_giving_up_ends() -> None:
    for state, event, ownership in itertools.product(State, Event, OWNERSHIP):
        after, act = step(state, event, ownership)
        assert (act is Act.RECOVER) == (after is State.RECOVERING and state is not after)
        if act is Act.RECOVER:
            assert event is Event.LOCK_TAKEN
        if after is State.OWNER and state is not after:
            assert event is Event.RECOVERED
        assert (after is State.ENDED) == (state is State.ENDED or event in (Event.STOPPED, Event.GAVE_UP))


def test_what_gives_up_frees_the_folder_in_whatever_role_and_never_tries_the_lock_again() -> None:
    for state, ownership in itertools.product(State, OWNERSHIP):
        expected = Act.NOTHING if state is State.ENDED else Act.FREE
        assert step(state, Event.GAVE_UP, ownership) == (State.ENDED, expected)
        assert all(step(State.ENDED, event, ownership) == (State.ENDED, Act.NOTHING) for event in Event)
