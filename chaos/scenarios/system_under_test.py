"""The system that a scenario acts on: one simulated process after another on one disk, with its host's database and the logs.

What is done to it is in `steps`; their order is in `scenario`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

from perdure.chaos.disk.memory_disk import Killed, MemoryDisk, PowerCut
from perdure.chaos.oracle.handler_log import HandlerLog
from perdure.chaos.oracle.history_checks import History
from perdure.chaos.oracle.publish_options import KeyPolicy
from perdure.chaos.oracle.publisher_log import PublisherLog
from perdure.chaos.oracle.recording_system import RecordingSystem
from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.chaos.oracle.state_checks import check_state, dead_letter_ids, has_room, is_at_rest
from perdure.chaos.oracle.ticks import SentTicks
from perdure.chaos.scenarios.handlers import Handlers
from perdure.chaos.scenarios.messages import BACKOFF_S, CROWD_MAX, NOTE_POLICY, RATE_PER_S, SCHEDULES, Crowd, Metered, Note
from perdure.chaos.scenarios.outbox_database import HostDatabase
from perdure.chaos.scenarios.processes.holdings import Holdings
from perdure.chaos.scenarios.processes.other_processes import SPOOLER, OtherProcesses
from perdure.chaos.scenarios.processes.spools import Spools
from perdure.chaos.simulation.processes.simulated_server import SimulatedServer
from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
from perdure.events.errors import NotRunning, StoreUnavailable
from perdure.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from perdure.chaos.scenarios.processes.members import Member
    from perdure.chaos.simulation.processes.simulated_client import SimulatedClient
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.handling.manual_delivery import Delivery
    from perdure.operations.dead_letter import DeadLetter
    from perdure.store import Frame

__all__ = ["SystemUnderTest"]

START_TRIES = 50
TURNS_MAX = 60_000


class SystemUnderTest:
    """The state of a running scenario.

    Args:
        seed: of the executor.
        processes: the settings of each process in turn; they are repeated as often as needed.
    """

    def __init__(self, seed: int, processes: Iterable[dict[str, Any]]) -> None:
        self.executor = SimulatedExecutor(seed)
        self.executor.steps_max = TURNS_MAX
        self.disk = MemoryDisk()
        self.trace: list[str] = []
        """The steps so far, and what came of them."""
        self.violations: list[str] = []
        """Violations found where raising would only have failed a handler."""
        self.fault_counts: Counter[str] = Counter()
        self.publisher_log = PublisherLog(self.violations)
        self.handler_log = HandlerLog(self.violations, self.publisher_log.options, {Crowd: CROWD_MAX})
        self.database = HostDatabase(self.publisher_log)
        self.by_front: dict[int | None, list[Delivery[Any]]] = {None: []}
        """Deliveries that a manual consumer has checked out and not settled, by its client; None: in the owner's process."""
        self.sent_ticks = SentTicks(self.executor)
        self.others = OtherProcesses(self.executor, self.handler_log, self.fault_counts, self.sent_ticks)
        self.holdings = Holdings(self.violations, self.others, self.handler_log, self.executor)
        self.spools = Spools(self.executor, self.publisher_log, lambda: self.disk)
        self.publisher_log.is_spooled = self.spools.is_durable
        self.handler_log.has_room = lambda messages: has_room(self.system, messages)
        self._through: int | None = None
        """The client that does the present step."""
        self.leased_again: set[tuple[str, int]] = set()
        self._leased_before: set[tuple[str, int]] = set()
        self.cut_in = self.cut_seed = 0
        """The power is cut at the `cut_in`-th disk operation from now; 0: not at all. `cut_seed` draws what the disk keeps."""
        self.with_others = False
        """The owner has handlers for what is of interest in several processes only."""
        self.set_back_s = 0.0
        self.dropped: list[Frame] = []
        """Frames whose segments were dropped with old history; the checks still read them."""
        self.plays_roles = False
        """Members may become the owner, processes that are gone give back what they checked out, outboxes are shared."""
        self.has_spool = False
        """A client spools where nothing owns the folder."""
        self.always_relays = False
        """The next owners relay, whatever their settings say."""
        self._relays = True
        self._settings: dict[str, Any] = {}
        self._processes = itertools.cycle(processes)
        self.system = self._new_system()

    # --- processes -------------------------------------------------------------------------------------------------------

    def _new_system(self) -> RecordingSystem:
        settings = self._settings = dict(next(self._processes))
        workers, self.with_others = settings.pop("workers"), settings.pop("with_others", False)
        self._relays = settings.pop("relays", True)
        self.plays_roles = self.database.is_shared = settings.pop("roles", False)
        self.has_spool = settings.pop("spools", False)
        self.others.new_spooling = self.spools.new if self.has_spool else None
        self.disk.before_each = self._before_operation
        system = RecordingSystem(executor=self.executor, disk=self.disk, options=self._options(**settings))
        self.enter(system)
        Handlers(system, self.handler_log, self.fault_counts).register(workers, with_others=self.with_others)
        return system

    @staticmethod
    def _options(**settings: Any) -> Options:
        quiet: dict[str, Any] = {"log_failures": None, "log_dead_letters": None}  # a scenario makes thousands of both
        return Options(dead_letters_max=8, retries=2, backlog_max=60, **quiet, **settings)

    def enter(self, system: RecordingSystem) -> None:
        """Let all logs watch a system from now on."""
        system.keep_dropped(self.dropped)
        system.sent_ticks = self.sent_ticks
        self.publisher_log.system = system
        self.handler_log.replace_process(system)
        if self.plays_roles:
            self.holdings.watch(system.recording)
            system.server = SimulatedServer(self.executor, self.others.serve)

    def _before_operation(self, _name: str) -> None:
        if not self.spools.is_spooling:
            self.executor.point()
        if self.cut_in:
            self.cut_in -= 1
            if not self.cut_in:
                self.executor.die(PowerCut())

    # --- clients ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def through(self, n: int) -> Iterator[None]:
        """Let what is done within this block be done by a client."""
        self._through, self.publisher_log.client = n, self.others.asker(n)
        try:
            yield
        finally:
            self._through = self.publisher_log.client = None

    @property
    def front(self) -> SimulatedSystem | SimulatedClient:
        """The front door that the present step uses."""
        if self._through is None:
            return self.system
        member = self.others.members.get(self._through)
        return self.others.client(self._through) if member is None else member.system

    @property
    def deliveries(self) -> list[Delivery[Any]]:
        """What is checked out by whatever does the present step."""
        return self.by_front.setdefault(self._through, [])

    def kill_client(self, n: int) -> None:
        """End a client's process. What it waited for is in doubt."""
        client = self.others.clients.pop(n, None)
        if client is not None:
            self.by_front.pop(n, None)
            self.publisher_log.forget_client(client)
            client.connection.die()

    def start_member(self, n: int, settings: Member, *, relays: bool, cannot: str = "") -> None:
        """Start a member, unless it is there; `relays`: it reads the outbox too, except for what it cannot."""
        if n not in self.others.members:
            options = self._options(**{name: value for name, value in self._settings.items() if name != "prefetch_ms"})
            self.others.start_member(n, settings, self.disk, options)
            if relays:
                self.database.attach_member(self.others.members[n], cannot)

    def end_faults(self) -> None:
        """Let nothing more go wrong from now on."""
        self.disk.faults, self.cut_in = [], 0
        self.executor.kill_after = self.executor.die_after = 0
        self.system.repeats = self.database.failures = 0
        self.others.end_faults()

    def kill_member(self, n: int) -> None:
        """End a member's process. What it waited for is in doubt."""
        member = self.others.members.get(n)
        if member is not None:
            self.by_front.pop(n, None)
            self.publisher_log.forget_client(member)
            self.others.kill_member(n)

    def lose_power(self) -> None:
        """End all processes but clients that have no files."""
        self.kill_client(SPOOLER)
        for n in [*self.others.members]:
            self.kill_member(n)
        self.others.end_deputy()

    def start_deputy(self) -> None:
        """Start another process that follows the log, with which it takes over when the owner ends."""
        self.others.start_deputy(self.disk, self.system.options)

    # --- starting and stopping -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, again after each I/O error.

        Raises:
            BrokenContract: it does not start in `START_TRIES` tries.
        """
        for _ in range(START_TRIES):
            try:
                self.system.has_members = bool(self.others.members)
                self.handler_log.spooled = self.spools.found_at_start(self.executor) if self.has_spool else set()
                self.system.start()
                if self._relays or self.always_relays:
                    self.database.attach(self.system)
                else:
                    self.database.leave()
                if not self.plays_roles:
                    self.others.sessions = SimulatedSessions(self.system.as_owner())
                self.spools.note_left(self.fault_counts)
                self.note_takeover()
            except StoreUnavailable:
                continue
            return
        msg = "the system does not start, though the disk works again"
        raise BrokenContract(msg)

    def restart(self, grace: float) -> None:
        """Stop in good order, and start a new process."""
        self.stop(grace)
        self.end_process()
        self.system = self._new_system()
        self.system.deputy = self.others.end_deputy()
        self.start()

    def stop(self, grace: float) -> None:
        """Stop the process in good order, and start none."""
        undisturbed = not (self.disk.faults or self.cut_in or self.executor.kill_after or self.executor.die_after)
        self.system.stop(grace=grace)
        if self.others.sessions is not None:
            self.others.sessions.stop(NotRunning("the owner was stopped"))
        self.others.lose_owner()
        if undisturbed:
            self.handler_log.check_stop()

    def note_takeover(self) -> None:
        """Count what became of what a deputy had folded."""
        if (recovery := self.system.recovery) is not None and recovery.deputy_seq:
            self.fault_counts["taken over by a deputy"] += 1
        elif self.system.had_deputy:
            self.fault_counts["a deputy had folded what is gone"] += 1

    def start_successor(self, disk: MemoryDisk, *, passes_deputy: bool = False, dies_in: int = 0) -> None:
        """Start a new process on what a dead one left on its disk: the deputy, if there is one.

        Args:
            disk: what is left.
            passes_deputy: another process is quicker to take the lock, and the deputy follows that one.
            dies_in: it dies as well, after so many points of its start; 0: it does not.
        """
        self.cut_in = 0
        self.others.lose_owner()
        self.executor.forget_all()
        self.end_process()
        disk.owner, disk.faults = None, []
        disk.end_claims()
        self.disk = disk
        self.system = self._new_system()
        self.system.deputy = None if passes_deputy else self.others.end_deputy()
        self.executor.die_after = dies_in
        try:
            self.start()
        except Killed:
            self.fault_counts["dies as it takes over"] += bool(dies_in)
            raise

    def end_process(self) -> None:
        """Forget what ends with a process: deliveries, and answers that have not come."""
        recording, before = self.system.recording, self._leased_before
        self.leased_again |= {
            lease for lease, times in recording.leases.items() if times > 1 or (lease in before and lease not in recording.found)
        }
        before.update(recording.leases)
        self.by_front[None] = []
        self.publisher_log.futures.clear()
        if self.publisher_log.owner is not None:
            self.publisher_log.forget_client(self.publisher_log.owner)
            self.publisher_log.owner = None

    # --- requests whose answers are checked ------------------------------------------------------------------------------

    def resume(self) -> None:
        """Resume all handlers."""
        self.handler_log.paused.clear()
        self.system.admin.resume()

    def take_delivery(self, delivery: Delivery[Any]) -> None:
        """Keep a delivery that was checked out; its lease must be recorded."""
        if self._through is None and not self.system.recording.leases[delivery.id, delivery.fencing_token]:
            self.violations.append(f"{delivery.id} was checked out before its lease was recorded")
        self.deliveries.append(delivery)

    def check_result(self, ident: str, ask: Callable[[], Any]) -> None:
        """Ask for a result and check it. A handler's error is part of the trace."""
        error = self.publisher_log.check_result(ident, ask)
        if error:
            self.trace.append(f"-> {error}")

    def dead_letters(self) -> list[DeadLetter[Any]]:
        """Return the dead letters. All that were recorded at the request must be among them, unless they have left since."""
        system, recording = self.system, self.system.recording
        openings, before = recording.openings, dead_letter_ids(recording)
        reported = self.front.dead_letters.list()
        if system is self.system and openings == recording.openings:
            missing = (before & dead_letter_ids(recording)) - {letter.id for letter in reported}
            if missing:
                self.violations.append(f"recorded dead letters are not listed: {sorted(missing)}")
        return reported

    def check_state(self) -> None:
        """Let everything happen that can happen now; then compare live state and log, if the disk works and nothing is pending."""
        self.system.run_until_idle()
        if self.system.running and not self.disk.faults and is_at_rest(self.system):
            check_state(self.system)

    def history(self) -> History:
        """Return all that the final check needs."""
        return History(
            store=self.system.recording,
            publisher_log=self.publisher_log,
            handler_log=self.handler_log,
            leased_again=self.leased_again,
            committed=self.database.committed,
            clock=self.executor.clock,
            schedules=SCHEDULES,
            sent_ticks=self.sent_ticks,
            rates_per_s={self.handler_log.name_of(Metered): RATE_PER_S},
            backoff_us=round(BACKOFF_S * 1_000_000),
            key_policies={self.handler_log.name_of(Note): KeyPolicy(**NOTE_POLICY)},
        )
