"""All planted bugs. docs/RELIABILITY.md has the same table, and tests/chaos/mutation/test_mutants.py compares the two."""

from __future__ import annotations

from perdure.chaos.mutation.actor_bugs import ACTOR_BUGS
from perdure.chaos.mutation.bug import Bug
from perdure.chaos.mutation.client_bugs import CLIENT_BUGS
from perdure.chaos.mutation.cluster_bugs import CLUSTER_BUGS
from perdure.chaos.mutation.event_bugs import EVENT_BUGS
from perdure.chaos.mutation.host_bugs import HOST_BUGS
from perdure.chaos.mutation.member_bugs import MEMBER_BUGS
from perdure.chaos.mutation.operator_bugs import OPERATOR_BUGS
from perdure.chaos.mutation.spool_bugs import SPOOL_BUGS
from perdure.chaos.mutation.store_bugs import STORE_BUGS

__all__ = ["BUGS", "Bug"]

BUGS: tuple[Bug, ...] = (
    *ACTOR_BUGS,
    *CLIENT_BUGS,
    *MEMBER_BUGS,
    *SPOOL_BUGS,
    *OPERATOR_BUGS,
    *EVENT_BUGS,
    *STORE_BUGS,
    *CLUSTER_BUGS,
    *HOST_BUGS,
)
