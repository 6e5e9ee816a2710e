"""Planted bugs in the spool, and in the threads and frames of a client: what tests of their own must notice.

The first of them are noticed by scenarios with a client that spools. What the simulation's clients notice is in `client_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug, Edit

__all__ = ["SPOOL_BUGS"]

WITH_SPOOL = 60
"""Scenarios with a client that spools within which the simulation must notice a bug."""
SPOOLED = ("spool", "spooler_asks")

SPOOL_BUGS: tuple[Bug, ...] = (
    Bug(
        "a client hears that a publish is spooled before the file is synced",
        "spool",
        "spool",
        WITH_SPOOL,
        (
            Edit(
                "perdure.store.spool.spool_file",
                "            self._disk.sync_data(fd)\n        except OSError as error:\n            self._close()  #",
                "            pass\n        except OSError as error:\n            self._close()  #",
            ),
        ),
        favoured=SPOOLED,
    ),
    Bug(
        "what is spooled before any owner was known passes its handler's policy",
        "spool",
        "tests/chaos/simulation/test_spools.py",
        0,
        (
            Edit(
                "perdure.publishing.drafts",
                "return made if is_named or is_known(made.type) else made._replace(dedup=None)",
                "return made",
            ),
        ),
    ),
    Bug(
        "a client goes on in a spool file that an owner reads",
        "spool",
        "tests/chaos/simulation/test_spools.py",
        0,
        (Edit("perdure.store.spool.spool_file", "            elif self._disk.claim(fd):", "            elif fd:"),),
    ),
    Bug(
        "what a client publishes to an owner overtakes what it spooled before",
        "exchange",
        "spool",
        WITH_SPOOL,
        (Edit("perdure.processes.to_owner.exchange", " or self.held.hold(request):", ":"),),
        first=205,
        favoured=(*SPOOLED, "silent_owner"),
    ),
    Bug(
        "a member that becomes the owner publishes before it has taken in what it spooled",
        "engine",
        "spool",
        WITH_SPOOL,
        (Edit("perdure.processes.member", "            pending.hold_publishes()\n", "            pass\n"),),
        favoured=("spool", "spooler_joins"),
    ),
    Bug(
        "an owner is not told that something is left in the spool",
        "exchange",
        "tests/host/processes/clients/test_held_publishes.py",
        0,
        (Edit("perdure.processes.to_owner.waiting", "if is_news and self.owner_looks else []", "if not held else []"),),
    ),
    Bug(
        "handlers start before what is spooled is taken in",
        "engine",
        "spool",
        WITH_SPOOL,
        (Edit("perdure.runtime.engine", "is_left = self._spool.take_in()", "is_left = self._spool.is_waiting()"),),
        favoured=SPOOLED,
    ),
    Bug(
        "a spool file is removed before what it held is synced",
        "queue",
        "tests/actors/queue/test_answers_after_sync.py",
        0,
        (
            Edit(
                "perdure.actors.queue.admission",
                "queue.synced.append(Settle(queue.pending, request, taken))",
                "queue.written.append(Settle(queue.pending, request, taken))",
            ),
        ),
    ),
    Bug(
        "what was spooled is taken in once more by the next owner",
        "rules",
        "spool",
        WITH_SPOOL,
        (Edit("perdure.events.queue.admission.spooled", "fresh = unknown(state, drafts)", "fresh = [*drafts]"),),
        favoured=SPOOLED,
    ),
    Bug(
        "what is refused when it is taken in is no dead letter",
        "rules",
        "spool",
        WITH_SPOOL,
        (
            Edit(
                "perdure.events.queue.admission.spooled",
                "        return _dead_letters(state, fresh, error, now_us, limits)\n",
                "        return []\n",
            ),
        ),
        favoured=SPOOLED,
    ),
    Bug(
        "a spool file is removed when its first row is on record",
        "spool",
        "spool",
        WITH_SPOOL,
        (
            Edit(
                "perdure.runtime.spool_source",
                "            self._left[name] -= 1\n            if not self._left[name]:",
                "            self._left[name] -= 1\n            if name in self._left:",
            ),
        ),
        favoured=SPOOLED,
    ),
    Bug(
        "a damaged spool file is removed",
        "spool",
        "spool",
        WITH_SPOOL,
        (Edit("perdure.store.spool.spool_file", "            if self.contents.problem:\n", "            if not self.path:\n"),),
        favoured=SPOOLED,
    ),
    Bug(
        "publishes wait for ever behind two frames that wait for room",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (Edit("perdure.processes.to_owner.exchange", "min(self._unanswered.values(), default=0.0) + HOLD_S <= now_s", "False"),),
    ),
    Bug(
        "nothing is gathered while frames are unanswered",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (Edit("perdure.processes.to_owner.exchange", "or len(self._unanswered) < UNANSWERED_MAX\n", "or True\n"),),
    ),
    Bug(
        "a client that spools says that its ids are new",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (Edit("perdure.processes.to_owner.exchange", "if self.spools and isinstance(", "if not self.spools and isinstance("),),
    ),
    Bug(
        "each publish waits anew for an owner that is known to be silent",
        "exchange",
        "tests/host/processes/clients/test_exchange.py",
        0,
        (Edit("perdure.processes.to_owner.waiting", "if self.is_up and not self.is_silent and", "if self.is_up and"),),
    ),
    Bug(
        "a thread that reads for all leaves, and wakes none that follows",
        "leading",
        "tests/host/processes/clients/test_leading.py",
        0,
        (Edit("perdure.processes.to_owner.leading", "                follower.promote()\n", ""),),
    ),
    Bug(
        "a wait without a timeout is over at once",
        "leading",
        "tests/host/processes/clients/test_waiting.py",
        0,
        (Edit("perdure.processes.to_owner.leading", "math.inf if timeout_s < 0 else timeout_s", "timeout_s"),),
    ),
    Bug(
        "a thread that waits within its own wait leaves the reading to itself",
        "leading",
        "tests/host/processes/clients/test_leading.py",
        0,
        (Edit("perdure.processes.to_owner.leading", "            self._take_from_beneath(answer)\n", ""),),
    ),
    Bug(
        "what an interrupted thread took from the socket is passed over",
        "connection",
        "tests/host/processes/clients/test_leading.py",
        0,
        (Edit("perdure.processes.to_owner.traffic", "        if link.is_reading:  #", "        if not link:  #"),),
    ),
    Bug(
        "messages that were submitted together must find room together",
        "session",
        "tests/actors/sessions/test_session.py",
        0,
        (Edit("perdure.actors.sessions.session", "more == [SUBMITTED])", "not more)"),),
    ),
    Bug(
        "a right that is missing is granted",
        "session",
        "tests/actors/sessions/test_session.py",
        0,
        (Edit("perdure.actors.sessions.rights.peer_rights", "if right not in self._rights:", "if not right:"),),
    ),
    Bug(
        "spool files are named by a clock that may be set back",
        "spool",
        "tests/store/test_spool.py",
        0,
        (Edit("perdure.store.spool.spool_file", "max(self._now_us(), self._made_us + 1)", "self._now_us()"),),
        found=True,
    ),
    Bug(
        "a spooled publish is answered before the sync",
        "spool",
        "tests/store/test_spool.py",
        0,
        (
            Edit(
                "perdure.store.spool.spool_file",
                "            self._disk.sync_data(fd)\n        except OSError as error:\n            self._close()  #",
                "            pass\n        except OSError as error:\n            self._close()  #",
            ),
        ),
    ),
    Bug(
        "the name of a spool file is not synced",
        "spool",
        "tests/store/test_spool.py",
        0,
        (
            Edit(
                "perdure.store.spool.spool_file",
                "        self._disk.sync_folder(self._folder)\n        return fd\n",
                "        return fd\n",
            ),
        ),
    ),
    Bug(
        "a writer goes on in a spool file that was taken in",
        "spool",
        "tests/store/test_spool.py",
        0,
        (
            Edit(
                "perdure.store.spool.spool_file",
                "if status is not None and status.is_same_file(",
                "if status is None or status.is_same_file(",
            ),
        ),
    ),
    Bug(
        "what is refused when it is taken in is lost",
        "rules",
        "tests/events/queue/admission/test_spooled.py",
        0,
        (
            Edit(
                "perdure.events.queue.admission.spooled",
                "        return _dead_letters(state, fresh, error, now_us, limits)\n",
                "        return []\n",
            ),
        ),
    ),
    Bug(
        "a spool file is removed when the first of its publishes is on record",
        "spool",
        "tests/host/runtime/test_spool_source.py",
        0,
        (
            Edit(
                "perdure.runtime.spool_source",
                "            self._left[name] -= 1\n            if not self._left[name]:",
                "            self._left[name] -= 1\n            if name in self._left:",
            ),
        ),
    ),
    Bug(
        "a process of any user may do everything",
        "sessions",
        "tests/host/processes/clients/test_rights.py",
        0,
        (Edit("perdure.actors.sessions.server", "self._rights.get(uid, frozenset())", "self._rights.get(uid, RIGHTS)"),),
    ),
    Bug(
        "any proof will do on the port",
        "sessions",
        "tests/host/processes/clients/test_loopback.py",
        0,
        (
            Edit(
                "perdure.actors.sessions.listening.loopback", 'if _are_equal(theirs, _proof(secret, b"peer", nonce)):', "if theirs:"
            ),
        ),
    ),
    Bug(
        "a client that has not heard of a new handler publishes past its policy",
        "session",
        "tests/actors/sessions/test_session.py",
        0,
        (Edit("perdure.actors.sessions.session", "owner.under_policy(d) if d.dedup is None else d", "d"),),
    ),
)
