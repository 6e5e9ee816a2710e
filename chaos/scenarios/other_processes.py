"""The other processes of a scenario: clients, members and a deputy, and their connections to the process that owns the folder.

What they do, and what goes wrong with them, is in `steps`; the owner's process is in `system_under_test`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.chaos.scenarios.members import new_member
from perdure.chaos.simulation.simulated_client import SimulatedClient
from perdure.chaos.simulation.simulated_deputy import SimulatedDeputy

if TYPE_CHECKING:
    from collections import Counter

    from perdure.actors.journal.warm_fold import WarmFold
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.chaos.scenarios.members import Member
    from perdure.chaos.simulation.simulated_client import SimulatedConnection
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.chaos.simulation.simulated_member import SimulatedMember
    from perdure.chaos.simulation.simulated_sessions import SimulatedSessions
    from perdure.options import Options

__all__ = ["OtherProcesses"]

CLIENT_TIMEOUT_S = 20.0
CALM_S = 5.0


class OtherProcesses:
    """The processes that are there now."""

    def __init__(self, executor: SimulatedExecutor, handler_log: HandlerLog, fault_counts: Counter[str]) -> None:
        self.clients: dict[int, SimulatedClient] = {}
        self.members: dict[int, SimulatedMember] = {}
        self.sessions: SimulatedSessions | None = None
        """The owner's end of their connections, while there is an owner."""
        self._deputy: SimulatedDeputy | None = None
        self._executor = executor
        self._handler_log = handler_log
        self._fault_counts = fault_counts

    def client(self, n: int) -> SimulatedClient:
        """Return one of the clients, which begins with its first step."""
        if n not in self.clients:
            self.clients[n] = SimulatedClient(self._executor, lambda: self.sessions, CLIENT_TIMEOUT_S)
        return self.clients[n]

    # --- connections -----------------------------------------------------------------------------------------------------

    def connection(self, n: int) -> SimulatedConnection | None:
        """Return the connection of a client, or of a member that is there."""
        if n in self.members:
            return self.members[n].connection
        return self.clients[n].connection if n in self.clients else None

    def _connections(self) -> list[SimulatedConnection]:
        clients, members = self.clients.values(), self.members.values()
        return [*(client.connection for client in clients), *(member.connection for member in members)]

    def lose_owner(self) -> None:
        """Break all connections, as the death of the owner's process does."""
        self.sessions = None
        for connection in self._connections():
            connection.lose_owner()

    def note_disturbance(self) -> None:
        """Time has passed in which no process ran: a client may take the owner for silent."""
        for client in self.clients.values():
            client.connection.disturb()

    def calm(self, owner: RecordingSystem) -> None:
        """End the faults of connections, and let all that is on its way arrive."""
        for connection in self._connections():
            connection.faults.end()
        owner.advance(CALM_S)  # for members, which never come to rest
        self._executor.run_until(
            lambda: not any(c.connection.pending.outstanding for c in self.clients.values()), 2 * CLIENT_TIMEOUT_S - CALM_S
        )

    def check_sessions(self) -> None:
        """Law 7: no session keeps a request that its client does not await."""
        for client in self.clients.values():
            held = client.connection.held_by_owner
            if held and not client.connection.faults.were_repeated:
                msg = f"the owner keeps {held} requests of a client that awaits {len(client.connection.pending.outstanding)}"
                raise BrokenContract(msg)

    # --- members ---------------------------------------------------------------------------------------------------------

    def start_member(self, n: int, settings: Member) -> None:
        """Start a member, unless it is there."""
        if n in self.members:
            return
        member = new_member(self._executor, lambda: self.sessions, self._handler_log, self._fault_counts, settings)
        self.members[n] = member
        try:
            member.begin()
        except BaseException:
            self.kill_member(n)
            raise

    def kill_member(self, n: int) -> None:
        """End a member's process. What it had in hand goes back to the queue."""
        member = self.members.pop(n, None)
        if member is not None:
            member.die()

    def lose_power(self) -> None:
        """End all of them but the clients, which stand for processes on other machines too."""
        for n in [*self.members]:
            self.kill_member(n)
        self.end_deputy()

    # --- a deputy --------------------------------------------------------------------------------------------------------

    def start_deputy(self, disk: MemoryDisk, options: Options) -> None:
        """Have a process follow the log, unless one does."""
        if self._deputy is None:
            self._deputy = SimulatedDeputy(self._executor, disk, options)

    def end_deputy(self) -> WarmFold | None:
        """Return what the deputy has folded, with which its process becomes the owner; None: there is none."""
        deputy, self._deputy = self._deputy, None
        return None if deputy is None else deputy.end()
