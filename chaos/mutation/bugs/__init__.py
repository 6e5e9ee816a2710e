"""The planted bugs, by the room whose source they edit or by subject. `BUGS` lists them all.

- By room: `event_bugs`, `actor_bugs`, `store_bugs` and `host_bugs`.
- By subject: `client_bugs` (what passes between processes), `member_bugs` (handlers in other processes), `role_bugs`
  (members that become the owner, consume by hand, relay), `spool_bugs`, `cluster_bugs` and `operator_bugs`.

docs/RELIABILITY.md has the same list as a table, and tests/chaos/mutation/test_mutants.py compares the two. A bug that edits source
text moves with that text: its entry names the module.

Not here: what a bug is made of (`bug`), and how it is planted and judged (`mutants`).
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import Bug
from perdure.chaos.mutation.bugs.actor_bugs import ACTOR_BUGS
from perdure.chaos.mutation.bugs.client_bugs import CLIENT_BUGS
from perdure.chaos.mutation.bugs.cluster_bugs import CLUSTER_BUGS
from perdure.chaos.mutation.bugs.event_bugs import EVENT_BUGS
from perdure.chaos.mutation.bugs.host_bugs import HOST_BUGS
from perdure.chaos.mutation.bugs.member_bugs import MEMBER_BUGS
from perdure.chaos.mutation.bugs.operator_bugs import OPERATOR_BUGS
from perdure.chaos.mutation.bugs.role_bugs import ROLE_BUGS
from perdure.chaos.mutation.bugs.spool_bugs import SPOOL_BUGS
from perdure.chaos.mutation.bugs.store_bugs import STORE_BUGS

__all__ = ["BUGS", "Bug"]

BUGS: tuple[Bug, ...] = (
    *ACTOR_BUGS,
    *CLIENT_BUGS,
    *MEMBER_BUGS,
    *ROLE_BUGS,
    *SPOOL_BUGS,
    *OPERATOR_BUGS,
    *EVENT_BUGS,
    *STORE_BUGS,
    *CLUSTER_BUGS,
    *HOST_BUGS,
)
