"""Planted bugs in what passes between processes: sessions of the owner, the exchange of a client, and which process owns a folder.

What happens within the owner's process is in `actor_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["CLIENT_BUGS"]

WITH_CLIENTS = 100
"""Scenarios with clients within which the simulation must notice a bug."""

CLIENT_BUGS: tuple[Bug, ...] = (
    Bug(
        "the ids of a repeated frame are taken for new",
        "session",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.actors.sessions.session", "is_new = first > self._newest_id", "is_new = True"),),
        first=37,
        favoured=("repeat_frames",),
    ),
    Bug(
        "a refused request whose frame is repeated is done after all",
        "session",
        "tests/actors/sessions/test_session.py",
        0,
        (Edit("perdure.actors.sessions.answers.peer_requests", " or key in self._refused", ""),),
        found=True,
    ),
    Bug(
        "an answer that a killed actor has sent is sent once more",
        "session",
        "tests/actors/sessions/test_direct_answer.py",
        0,
        (Edit("perdure.actors.sessions.peer", "if left.sent:", "if left.sent and left.is_partial:"),),
    ),
    Bug(
        "two threads write to one peer",
        "session",
        "tests/actors/sessions/test_direct_answer.py",
        0,
        (Edit("perdure.actors.sessions.peer", "if not writer.is_over:", "if not (writer.is_over or writer.frame):"),),
    ),
    Bug(
        "what is sent to the next owner counts as sent for the first time",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.processes.to_owner.exchange", "row = [request.key, request.times,", "row = [request.key, 1,"),),
    ),
    Bug(
        "the next owner is not asked what the one before has not answered",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.processes.to_owner.exchange", "        self._sent.clear()\n", ""),),
    ),
    Bug(
        "a client's request is sent again under another key",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (
            Edit(
                "perdure.processes.to_owner.exchange",
                "row = [request.key, request.times,",
                "row = [request.key + (request.times > 1), request.times,",
            ),
        ),
    ),
    Bug(
        "a publish that an owner may have is said not to be published when another one cannot write",
        "pending requests",
        "tests/actors/requests/test_sent_before.py",
        0,
        (Edit("perdure.actors.requests.pending", "writes=int(times > 1)", "writes=0"),),
        found=True,
    ),
    Bug(
        "a process that never owns the folder tries its lock",
        "roles",
        "tests/host/processes/takeovers/test_role_rules.py",
        1,
        (Edit("perdure.processes.role_rules", 'if act is Act.TRY_LOCK and ownership == "never":', "if act is ownership:"),),
    ),
    Bug(
        "a member whose owner is lost leaves the lock to others",
        "roles",
        "tests/host/processes/takeovers/test_role_rules.py",
        1,
        (
            Edit(
                "perdure.processes.role_rules",
                "(State.MEMBER, Event.LOST): (State.SEEKING, Act.TRY_LOCK)",
                "(State.MEMBER, Event.LOST): (State.SEEKING, Act.CONNECT)",
            ),
        ),
    ),
    Bug(
        "an owner that prefers to own the folder hands it over",
        "roles",
        "tests/host/processes/takeovers/test_role_rules.py",
        1,
        (Edit("perdure.processes.role_rules", "    (State.OWNER, Event.ASKED): (State.OWNER, Act.REFUSE),\n", ""),),
    ),
    Bug(
        "what living processes have in hand is taken back when another one owns the folder",
        "orphans",
        "tests/actors/queue/test_orphans.py",
        1,
        (Edit("perdure.actors.queue.orphans", "if not self.wait_us:", "if self.wait_us is not None:"),),
    ),
    Bug(
        "what a process has said that it holds is taken back all the same",
        "orphans",
        "tests/actors/queue/test_orphans.py",
        1,
        (Edit("perdure.actors.queue.orphans", " and not _is_open(message, all_pools)", ""),),
    ),
    Bug(
        "a process that lives loses what it has checked out when another one owns the folder",
        "orphans",
        "tests/actors/queue/test_orphans.py",
        1,
        (Edit("perdure.actors.queue.orphans", " and not is_connected", ""),),
    ),
    Bug(
        "an owner waits for processes of which none had joined the last one",
        "orphans",
        "tests/actors/queue/test_orphans.py",
        1,
        (Edit("perdure.actors.queue.orphans", "        if not self.had_members:\n", "        if self.wait_us < 0:\n"),),
    ),
    Bug(
        "a deputy takes over with events that a failed sync took back",
        "warm fold",
        "tests/actors/journal/test_warm_fold.py",
        1,
        (Edit("perdure.actors.journal.warm_fold", "states.seq == seq and _chain_at(store, seq) == chain", "states.seq == seq"),),
    ),
    Bug(
        "a deputy folds on where a failed sync took back what it has folded",
        "warm fold",
        "tests/actors/journal/test_warm_fold.py",
        1,
        (Edit("perdure.actors.journal.warm_fold", 'is_linked = known in (b"", item.chain)', "is_linked = True"),),
    ),
    Bug(
        "an owner that has given up keeps the folder",
        "roles",
        "tests/host/processes/takeovers/test_role_rules.py",
        1,
        (Edit("perdure.processes.role_rules", "Act.END if event is Event.STOPPED else Act.FREE", "Act.END"),),
    ),
)
