"""Submit batches: a thread that adds and one that closes agree on what is in; and how pending requests send, count and split them.

What a user sees of them is in tests/host/publishing/test_submitting.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.submit_batch import SUBMIT_BATCH_BYTES_MAX, SUBMIT_BATCH_MAX, SubmitBatch
from perdure.events.errors import NotRunning, QueueFull
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.request import Request


class Replies(list[Any]):
    """Collects answers."""

    def resolve(self, value: Any) -> None:
        self.append(value)

    def reject(self, error: BaseException) -> None:
        self.append(error)


def ids(n: int = SUBMIT_BATCH_MAX) -> IdRun:
    return IdRun("prefix-", 1, n)


def payloads(submit_batch: SubmitBatch) -> list[bytes]:
    return list(submit_batch.publish().drafts.payloads)  # type: ignore[union-attr]  # a run of drafts


def test_a_closed_batch_takes_no_message() -> None:
    submit_batch = SubmitBatch("t", ids())
    assert submit_batch.add(b"a", Replies())
    assert submit_batch.newest_id == ids()[0]
    assert submit_batch.add(b"b", Replies())
    publish = submit_batch.publish()
    assert not submit_batch.add(b"c", Replies())
    assert submit_batch.publish() is publish
    assert (submit_batch.count(), payloads(submit_batch), list(publish.drafts.ids)) == (2, [b"a", b"b"], list(ids(2)))  # type: ignore[union-attr]  # a run of drafts


def test_a_batch_is_bounded_in_messages_and_in_bytes() -> None:
    many = SubmitBatch("t", ids())
    assert [many.add(b"", Replies()) for _ in range(SUBMIT_BATCH_MAX + 1)] == [True] * SUBMIT_BATCH_MAX + [False]
    big = SubmitBatch("t", ids())
    assert big.add(bytes(SUBMIT_BATCH_BYTES_MAX + 1), Replies()), "one that is larger travels alone"
    assert not big.add(b"", Replies())


@pytest.mark.parametrize("first", [True, False])
def test_closed_in_the_middle_of_adding_the_place_decides(first: bool) -> None:
    class Rows(list[Any]):
        """Rows whose batch is closed just before, or just after, one is appended."""

        def append(self, item: Any) -> None:
            if item and first:
                submit_batch.publish()
            super().append(item)
            if item and not first:
                submit_batch.publish()

    submit_batch = SubmitBatch("t", ids())
    submit_batch._rows = Rows()
    assert submit_batch.add(b"a", Replies()) is not first
    assert payloads(submit_batch) == ([] if first else [b"a"])


def test_two_threads_that_close_at_once_see_the_same() -> None:
    """Else one of them might not learn that the messages were sent before."""

    class Rows(list[Any]):
        """Rows whose batch another thread closes while it is being closed."""

        def append(self, item: Any) -> None:
            super().append(item)
            if self.count(()) == 1:
                others.append(submit_batch.publish())

    others: list[Any] = []
    submit_batch = SubmitBatch("t", ids())
    submit_batch.add(b"a", Replies())
    submit_batch._rows = Rows(submit_batch._rows)
    publish = submit_batch.publish()
    assert len(others) == 1
    assert publish is others[0] is submit_batch.publish()


def test_a_thread_that_dies_while_closing_leaves_that_to_the_next() -> None:
    submit_batch = SubmitBatch("t", ids())
    submit_batch.add(b"a", Replies())
    submit_batch._is_open = False  # and dead
    assert not submit_batch.add(b"b", Replies())
    assert payloads(submit_batch) == [b"a"]


@pytest.mark.long(seconds=2)
def test_threads_that_add_and_threads_that_close_agree() -> None:
    """Every message is in exactly one batch, with all threads at once."""
    rng = random.Random(7)
    for _ in range(500):
        submit_batch = SubmitBatch("t", ids())
        begun = threading.Barrier(3)
        added: list[bytes] = []

        def add(submit_batch: SubmitBatch, begun: threading.Barrier, added: list[bytes]) -> None:
            begun.wait()
            added += [b"%d" % i for i in range(SUBMIT_BATCH_MAX) if submit_batch.add(b"%d" % i, Replies())]

        def close(submit_batch: SubmitBatch, begun: threading.Barrier, pause: int) -> None:
            begun.wait()
            for _ in range(pause):
                pass
            submit_batch.publish()

        threads = [threading.Thread(target=add, args=(submit_batch, begun, added))]
        threads += [threading.Thread(target=close, args=(submit_batch, begun, rng.randrange(2_000))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert payloads(submit_batch) == added


def test_each_message_has_its_own_answer() -> None:
    submit_batch, replies = SubmitBatch("t", ids()), [Replies(), Replies(), Replies()]
    for reply in replies:
        submit_batch.add(b"", reply)
    submit_batch.resolve(None)
    assert replies == [[ident] for ident in ids(3)]
    error = QueueFull("no room")
    submit_batch.reject(error)
    sent = [reply[1] for reply in replies]
    assert all(isinstance(own, QueueFull) and own.args == error.args for own in sent)
    assert len(set(map(id, sent))) == 3, "one each, so that their tracebacks do not mix"


# --- in pending requests ----------------------------------------------------------------------------------------------


def pending() -> tuple[PendingRequests, list[Request], Callable[[str], Replies]]:
    sent: list[Request] = []
    pending = PendingRequests(lambda _name, request: sent.append(request))

    def submit(type_name: str) -> Replies:
        reply = Replies()
        pending.submit(type_name, b"", reply, ids)
        return reply

    return pending, sent, submit


def test_messages_travel_together_until_the_batch_is_closed() -> None:
    requests, sent, submit = pending()
    replies = [submit("t") for _ in range(3)]
    assert (len(sent), requests.under_way) == (1, 3)
    assert sent[0].command.count() == 3
    replies.append(submit("t"))
    assert (len(sent), requests.under_way) == (2, 4)
    requests.settle(sent[0], None)
    assert (requests.under_way, list(map(len, replies))) == (1, [1, 1, 1, 0])
    requests.settle_all([sent[1]])
    assert (requests.under_way, requests.extra_pending, len(replies[3])) == (0, [], 1)


def test_nothing_overtakes_what_its_thread_sent_before() -> None:
    requests, sent, submit = pending()
    submit("t")
    requests.send("queue", "keyed", Answer())
    submit("t")
    submit("other")
    submit("t")
    assert [request.command.type if isinstance(request.command, SubmitBatch) else "keyed" for request in sent] == [
        "t",
        "keyed",
        "t",
        "other",
        "t",
    ]


def test_threads_have_batches_of_their_own() -> None:
    requests, sent, submit = pending()
    for _ in range(3):
        submit("t")
    thread = threading.Thread(target=lambda: [submit("t") for _ in range(2)])
    thread.start()
    thread.join()
    submit("t")
    assert [request.command.count() for request in sent] == [4, 2]
    assert requests.under_way == 6


def test_a_batch_is_split_in_its_place() -> None:
    requests, sent, submit = pending()
    replies = [submit("t") for _ in range(3)]
    requests.send("queue", "later", Answer())
    parent = sent[0]
    parent.command = parent.command.publish()
    pieces = requests.split(parent)
    assert [list(piece.command.drafts.ids) for piece in pieces] == [[ident] for ident in ids(3)]
    assert requests.under_way == 4
    requests.outstanding[parent.key] = parent  # as if the thread that split it had died before it was removed
    assert requests.split(parent) == pieces
    assert requests.split(parent) == [], "it was split before"
    assert [request.command for request in requests.unanswered("queue")] == [*(piece.command for piece in pieces), "later"]
    requests.settle(pieces[1], None)
    requests.refuse(pieces[0], QueueFull("no room"))
    assert [list(map(type, reply)) for reply in replies] == [[QueueFull], [str], []]
    assert requests.split(pieces[2]) == [pieces[2]]


def test_a_full_batch_is_split_into_keys_that_no_other_request_has() -> None:
    requests, sent, submit = pending()
    for _ in range(SUBMIT_BATCH_MAX + 1):
        submit("t")
    assert [request.command.count() for request in sent] == [SUBMIT_BATCH_MAX, 1]
    assert len(requests.split(sent[0])) == SUBMIT_BATCH_MAX
    assert len(requests.outstanding) == SUBMIT_BATCH_MAX + 1


def test_a_publisher_in_doubt_is_told_of_its_own_message() -> None:
    requests, sent, submit = pending()
    replies = [submit("t") for _ in range(2)]
    sent[0].command = sent[0].command.publish()
    sent[0].writes = 1
    requests.abandon(NotRunning("gone"))
    assert [reply[0].ids for reply in replies] == [(ident,) for ident in ids(2)]
    with pytest.raises(NotRunning):
        submit("t")


def test_extra_pending_that_a_dead_thread_left_is_cleared_when_nothing_is_under_way() -> None:
    requests, sent, submit = pending()
    requests.extra_pending += [None] * 5
    submit("t")
    assert requests.under_way == 6
    requests.settle(sent[0], None)
    assert requests.under_way == 0
    requests.wait_for_room(1, 0.0)
