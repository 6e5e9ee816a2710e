"""The publisher log of a scenario: each answer to a publisher or consumer, compared with the disk at the moment it is given.

What is published is in `scenarios.steps`. `history_checks` compares the log with the whole history at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from perdure.chaos.oracle.published_moments import PublishedMoments
from perdure.chaos.oracle.reference_model import require
from perdure.chaos.oracle.state_checks import is_at_rest
from perdure.chaos.simulation.processes.simulated_client import SILENT
from perdure.events.errors import NotRunning, PerdureError, PublishTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.chaos.simulation.processes.simulated_client import SimulatedConnection

__all__ = ["PublisherLog"]

SLACK_S = 5.0


class Asker(Protocol):
    """A client or a member: what asks the owner over a connection."""

    @property
    def connection(self) -> SimulatedConnection:
        """Its connection."""


@attrs.define(eq=False)
class PublisherLog:
    """What was asked for and what was answered, over all processes of a scenario."""

    violations: list[str]
    """Shared with the other logs: violations found where raising would only fail a handler or a future."""
    system: RecordingSystem = attrs.field(init=False)
    """The process that runs now."""
    acknowledged: set[str] = attrs.field(factory=set, init=False)
    """Ids that a publish returned."""
    uncertain: set[str] = attrs.field(factory=set, init=False)
    """Ids of publishes that ended in doubt, or with the process."""
    refused: set[str] = attrs.field(factory=set, init=False)
    """Ids of publishes that were refused: they must not be in the log."""
    with_result: set[str] = attrs.field(factory=set, init=False)
    """Ids whose result is to be kept."""
    acked: set[tuple[str, int]] = attrs.field(factory=set, init=False)
    """(id, attempt) of deliveries that manual consumers acknowledged."""
    messages: dict[str, Any] = attrs.field(factory=dict, init=False)
    """By id: the messages that were made."""
    options: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    """By id: how they are published."""
    moments: PublishedMoments = attrs.field(factory=PublishedMoments, init=False)
    """When they were published."""
    orders: list[tuple[Asker | None, list[str]]] = attrs.field(factory=lambda: [(None, [])], init=False)
    """For the system and for each client or member, ids in the order of their requests, as far as they were known then."""
    futures: list[tuple[str, Future[str]]] = attrs.field(factory=list, init=False)
    """What this process has submitted."""
    client: Asker | None = attrs.field(default=None, init=False)
    """The client or member that asks at present; None: the system itself is asked."""
    owner: Asker | None = attrs.field(default=None, init=False)
    """The member whose process has become the owner, if one has: its requests are its own."""
    is_spooled: Callable[[str], bool] = attrs.field(default=lambda _ident: False, init=False)
    """Returns whether a message is in a spool file, and stays there when the power is cut."""
    _of_clients: list[tuple[str, Future[str], Asker]] = attrs.field(factory=list, init=False)
    """What clients have submitted."""

    def new_message(self, kind: type[Any], how: str, options: dict[str, Any]) -> tuple[Any, str]:
        """Make a message and its id."""
        number = len(self.messages) + 1
        ident = f"m{number}"
        self.messages[ident] = kind(number, how)
        self.options[ident] = options
        if "keep_result" in options:
            self.with_result.add(ident)
        return self.messages[ident], ident

    def publish(self, idents: list[str], call: Callable[[], Any]) -> None:
        """Publish by `call`, and note what it answers.

        Raises:
            PerdureError: as `call`.
        """
        client = self.client
        self._order().extend(idents)
        self.uncertain.update(idents)  # until the answer is known: the process may die in the middle
        clock = self.system.executor.clock
        self.moments.begin(idents, clock)
        try:
            answer = call()
        except PublishTimeout as error:
            self.uncertain.update(error.ids)
            if client is not None:
                self._check_silence(client, error)
            elif self.system.running and not self.system.disk.faults and is_at_rest(self.system):
                self.violations.append(f"{idents} got no answer, though every actor is there and has nothing to do")
            raise
        except PerdureError as error:
            self.uncertain.difference_update(idents)
            self.refused.update(idents)
            if client is not None:
                self._check_silence(client, error)
            raise
        finally:
            self.moments.end(idents, clock)
        for ident in answer if isinstance(answer, list) else [answer]:
            self._acknowledge(ident)

    def submit(self, known: str | None, call: Callable[[], Future[str]]) -> None:
        """Submit by `call`, under a `known` id or one of the system's. The answer is noted when it comes.

        Raises:
            PerdureError: as `call`.
        """
        system, client, order = self.system, self.client, self._order()
        ident = known or ""
        if known:
            order.append(known)
            self.uncertain.add(known)

        def note_answer(future: Future[str]) -> None:
            if client is None and (self.system is not system or system.executor.dead is not None):
                return  # the answer of a process that is dead
            error = future.exception()
            if error is not None and client is not None:
                self._check_silence(client, error)
            if error is None:
                self._acknowledge(ident)
            elif not isinstance(error, PublishTimeout):
                self.uncertain.discard(ident)
                self.refused.add(ident)

        known_idents = [known] if known else []
        self.moments.begin(known_idents, system.executor.clock)
        try:
            future = call()
            self.moments.end(known_idents, system.executor.clock)
            if known is None:
                ident = self._id_of_newest()
                order.append(ident)
                self.uncertain.add(ident)
            if client is None:
                self.futures.append((ident, future))
            else:
                self._of_clients.append((ident, future, client))
            future.add_done_callback(note_answer)
        except PerdureError:
            self.uncertain.discard(ident)
            self.refused.add(ident)
            raise

    def check_result(self, ident: str, ask: Callable[[], Any]) -> str:
        """Check a result: it must be what the handler returned, and be on the disk. Return the name of the handler's error, or "".

        Raises:
            PerdureError: as `ask`.
            TimeoutError: as `ask`.
        """
        recording = self.system.recording
        try:
            value = ask()
        except (PerdureError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - the handler's own error, handed over
            return type(error).__name__
        finally:
            if ident in recording.published and recording.is_durable(ident):
                self.uncertain.discard(ident)
                self.acknowledged.add(ident)
        if value not in (self.messages[ident].number, None):
            self.violations.append(f"the result of {ident} is {value!r}")
        if recording.openings and not recording.is_result_durable(ident):
            self.violations.append(f"the result of {ident} was given before it was on the disk")
        return ""

    # --- clients ---------------------------------------------------------------------------------------------------------

    def unanswered(self) -> list[str]:
        """Return the ids of what was submitted and has no answer."""
        of_clients = [(ident, future) for ident, future, _ in self._of_clients]
        return [ident for ident, future in (*self.futures, *of_clients) if not future.done()]

    def forget_client(self, client: Asker) -> None:
        """Forget what a client that is dead was waiting for."""
        self._of_clients = [entry for entry in self._of_clients if entry[2] is not client]

    def go_on_as_owner(self, member: Asker) -> None:
        """A member has become the owner: what its process has published, and knows to be published, goes before the rest."""
        self.owner, faults = member, member.connection.faults
        before = next((order for client, order in self.orders if client is member), [])
        is_in_order = not (faults.were_swapped or faults.were_overtaken)
        self.orders.append((None, [ident for ident in before if is_in_order and ident in self.acknowledged]))

    def _order(self) -> list[str]:
        for client, order in reversed(self.orders):
            if client is self.client:
                return order
        self.orders.append((self.client, []))
        return self.orders[-1][1]

    def _check_silence(self, client: Asker, error: BaseException) -> None:
        """Note a violation if a client gives up although neither its connection nor the owner was disturbed while it waited."""
        if client is self.owner:
            return  # it was stopped itself
        connection = client.connection
        if isinstance(error, NotRunning) and SILENT.why not in str(error):
            self.violations.append(f"an owner refused what the next one could answer: {error}")
        quiet_s = connection.gave_up_s - connection.disturbed_s
        if SILENT.why in str(error) and quiet_s > connection.timeout_s + SLACK_S:
            self.violations.append(f"a client got no answer, though nothing was wrong for {quiet_s:g} s: {error}")

    def _id_of_newest(self) -> str:
        """Return the id of the message that was just submitted, before it is answered."""
        pending = self.system.runtime.pending if self.client is None else self.client.connection.pending
        submit_batch = pending.submit_batch()
        require(submit_batch is not None, "the message that was just submitted is in no submit batch")
        return submit_batch.newest_id  # type: ignore[union-attr]  # required above

    def _acknowledge(self, ident: str) -> None:
        recording = self.system.recording
        is_kept = recording.is_durable(ident) or self.is_spooled(ident)
        if recording.openings and not is_kept:  # without: a client hears of it while the next process starts
            self.violations.append(f"{ident} was acknowledged before it was on the disk")
        self.acknowledged.add(ident)
        self.uncertain.discard(ident)
