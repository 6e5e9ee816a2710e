"""Planted bugs in what passes between processes: sessions of the owner, and the exchange of a client.

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
    ),
    Bug(
        "what is sent to the next owner counts as sent for the first time",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.processes.exchange", "row = [request.key, request.times,", "row = [request.key, 1,"),),
    ),
    Bug(
        "the next owner is not asked what the one before has not answered",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.processes.exchange", "        self._sent.clear()\n", ""),),
    ),
    Bug(
        "an owner that stops refuses what the next one could answer",
        "session",
        "clients",
        WITH_CLIENTS,
        (Edit("perdure.actors.sessions.session", "if isinstance(value, NotRunning) or (", "if value is self or ("),),
    ),
    Bug(
        "a client's request is sent again under another key",
        "exchange",
        "clients",
        WITH_CLIENTS,
        (
            Edit(
                "perdure.processes.exchange",
                "row = [request.key, request.times,",
                "row = [request.key + (request.times > 1), request.times,",
            ),
        ),
    ),
    Bug(
        "a session keeps what its peer has forgotten",
        "session",
        "clients",
        WITH_CLIENTS,
        (
            Edit(
                "perdure.actors.sessions.session",
                "        for key in elements:\n            self._forget(key)\n",
                "",
            ),
        ),
    ),
)
