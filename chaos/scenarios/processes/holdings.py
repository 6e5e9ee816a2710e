"""Checks that what a process holds stays with it while it lives and is connected, and is taken back once it is gone.

Whether a consumer's acknowledgement counts is checked with the history (`oracle.history_checks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.queue.consumers import origin_of

if TYPE_CHECKING:
    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.chaos.scenarios.processes.other_processes import OtherProcesses
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["Holdings"]

RETURN_SLACK_S = 3.0
"""How long after it is connected again a process may still lose what it had checked out: it was found to be gone before."""


@attrs.frozen
class Holdings:
    """Judges what is taken back."""

    violations: list[str]
    others: OtherProcesses
    handler_log: HandlerLog
    executor: SimulatedExecutor

    def watch(self, recording: RecordingStore) -> None:
        """Judge what is recorded in a store from now on."""
        recording.on_taken_back = self._note_taken_back
        recording.on_orphan = self._note_orphan

    def _own(self) -> str:
        return self.handler_log.system.drafts.ids.origin

    def _note_taken_back(self, ident: str, holder: str) -> None:
        """Note a violation if the process is there that loses what it has checked out before its time is over."""
        origin = origin_of(holder)
        connection = self.others.living().get(origin)
        if connection is None:
            is_there = origin == self._own()
        else:
            is_up = connection.exchange.is_up and not connection.is_broken
            is_there = is_up and self.executor.monotonic_s() > connection.up_since_s + RETURN_SLACK_S
        if is_there:
            self.violations.append(f"{ident} is taken back from {holder}, whose process lives and is connected")

    def _note_orphan(self, ident: str, attempt: int) -> None:
        """Note a violation if what runs in the owner, which was a member before, is taken back as a dead process's."""
        call = self.handler_log.calls.get((ident, attempt))
        if call is not None and not call.ended and call.home is self.handler_log.system:
            self.violations.append(f"{call} runs in the owner, and is taken back as if its process had died")

    def check_departed(self) -> None:
        """Note a violation if a process that is gone still holds what it had checked out."""
        here = {*self.others.living(), self._own()}
        held = self.handler_log.system.recording.holders
        if left := {ident: holder for ident, (holder, _) in held.items() if origin_of(holder) not in here}:
            self.violations.append(f"processes are gone, and still hold what they checked out: {left}")
