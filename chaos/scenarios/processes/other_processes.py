"""The other processes of a scenario: clients, members and a deputy, and their connections to the process that owns the folder.

What they do, and what goes wrong with them, is in `steps`; the owner's process is in `system_under_test`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.chaos.scenarios.processes.members import new_member
from perdure.chaos.simulation.processes.simulated_client import SimulatedClient
from perdure.chaos.simulation.processes.simulated_deputy import SimulatedDeputy

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from perdure.actors.journal.warm_fold import WarmFold
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.chaos.oracle.ticks import SentTicks
    from perdure.chaos.scenarios.processes.members import Member
    from perdure.chaos.simulation.processes.simulated_client import SimulatedConnection
    from perdure.chaos.simulation.processes.simulated_member import SimulatedMember
    from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.options import Options
    from perdure.processes.to_owner.spooling import Spooling

__all__ = ["CLIENTS", "SPOOLER", "OtherProcesses"]

CLIENTS = 2
"""The clients are numbered from 0, the members from here on."""
SPOOLER = -1
"""The client that spools."""
CLIENT_TIMEOUT_S = 20.0
CALM_S = 5.0


class OtherProcesses:
    """The processes that are there now."""

    def __init__(
        self, executor: SimulatedExecutor, handler_log: HandlerLog, fault_counts: Counter[str], sent_ticks: SentTicks
    ) -> None:
        self.clients: dict[int, SimulatedClient] = {}
        self.members: dict[int, SimulatedMember] = {}
        self.sessions: SimulatedSessions | None = None
        """The owner's end of their connections, while there is an owner."""
        self.candidates: set[int] = set()
        """The members that may become the owner."""
        self.new_spooling: Callable[[int], Spooling] | None = None
        """Returns what spools for a client or member, by its number; None: none does."""
        self.spooling_members: set[int] = set()
        self._deputy: SimulatedDeputy | None = None
        self._executor = executor
        self._handler_log = handler_log
        self._fault_counts = fault_counts
        self._sent_ticks = sent_ticks

    def client(self, n: int) -> SimulatedClient:
        """Return one of the clients, which begins with its first step."""
        if n not in self.clients:
            spool = self.new_spooling(n) if n == SPOOLER and self.new_spooling is not None else None
            self.clients[n] = SimulatedClient(self._executor, lambda: self.sessions, CLIENT_TIMEOUT_S, spool)
        return self.clients[n]

    def asker(self, n: int) -> SimulatedClient | SimulatedMember | None:
        """Return what asks the owner: a client, or a member that is there."""
        return self.members.get(n) if n >= CLIENTS else self.client(n)

    def living(self) -> dict[str, SimulatedConnection]:
        """Return the connections of the processes by the names that these have in what they check out by hand."""
        askers: list[SimulatedClient | SimulatedMember] = [*self.clients.values(), *self.members.values()]
        return {asker.connection.exchange.origin(): asker.connection for asker in askers}

    def serve(self, sessions: SimulatedSessions | None) -> None:
        """Take note of what the others connect to, or that they cannot any more."""
        self.sessions = sessions

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
        if self.sessions in self._executor.bystanders:
            self._executor.bystanders.remove(self.sessions)
        self.sessions = None
        for connection in self._connections():
            connection.lose_owner()

    def note_disturbance(self) -> None:
        """Note that time passed in which no process ran, so that a client may take the owner for silent."""
        for client in self.clients.values():
            client.connection.disturb()

    def end_faults(self) -> None:
        """Let nothing more go wrong on connections."""
        for connection in self._connections():
            connection.faults.end()

    def calm(self, owner: RecordingSystem) -> None:
        """End the faults of connections, and let all that is on its way arrive."""
        self.end_faults()
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

    def start_member(self, n: int, settings: Member, disk: MemoryDisk, options: Options) -> None:
        """Start a member, unless it is there; with this disk and these options if it becomes the owner."""
        if n in self.members:
            return
        spooling = self.new_spooling(n) if settings.spools and self.new_spooling is not None else None
        member = new_member(
            self._executor, lambda: self.sessions, self._handler_log, self._fault_counts, settings, disk, options, spooling
        )
        if spooling is not None:
            self.spooling_members.add(n)
        self._sent_ticks.watch(member.runtime.pending)
        self.members[n] = member
        if settings.may_own:
            self.candidates.add(n)
        try:
            member.begin()
        except BaseException:
            self.kill_member(n)
            raise

    def kill_member(self, n: int) -> None:
        """End a member's process. What it had in hand goes back to the queue."""
        member = self.members.pop(n, None)
        self.candidates.discard(n)
        self.spooling_members.discard(n)
        if member is not None:
            member.die()

    def promote(self, n: int) -> SimulatedMember | None:
        """Return a member that becomes the owner and is no member any more; None: there is none, or it hangs."""
        member = self.members.get(n)
        if member is None or n not in self.candidates or member.connection.hangs:
            return None
        self.candidates.discard(n)
        self.spooling_members.discard(n)
        return self.members.pop(n)

    # --- a deputy --------------------------------------------------------------------------------------------------------

    def start_deputy(self, disk: MemoryDisk, options: Options) -> None:
        """Start a process that follows the log, unless there is one."""
        if self._deputy is None:
            self._deputy = SimulatedDeputy(self._executor, disk, options)

    def end_deputy(self) -> WarmFold | None:
        """Return what the deputy has folded, with which its process becomes the owner; None: there is none."""
        deputy, self._deputy = self._deputy, None
        return None if deputy is None else deputy.end()
