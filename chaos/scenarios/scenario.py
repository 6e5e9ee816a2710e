"""One scenario: a `Plan` carried out on a simulated system, through deaths and power cuts, and the check of its history.

The steps are in `steps`, the system in `system_under_test`, the checks in `oracle`.
"""

from __future__ import annotations

import itertools
import logging
from functools import partial
from typing import TYPE_CHECKING

from perdure.chaos.disk.crash_states import disk_after_power_cut
from perdure.chaos.disk.memory_disk import Killed, PowerCut
from perdure.chaos.oracle.history_checks import check_history
from perdure.chaos.oracle.reference_model import BrokenContract
from perdure.chaos.oracle.state_checks import OverdueDelays, check_state
from perdure.chaos.scenarios.messages import Manual
from perdure.chaos.scenarios.plan import TABLE
from perdure.chaos.scenarios.simulated_bounds import simulated_bounds
from perdure.chaos.scenarios.system_under_test import SystemUnderTest
from perdure.events.errors import PerdureError, StoreCorrupt, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.chaos.scenarios.plan import Plan

__all__ = ["BrokenContract", "Scenario"]

RESUME_TRIES = 50
FINAL_ROUNDS = 20
GONE_S = 4.0
"""Within this time what a dead process had checked out is taken back."""


class Scenario:
    """One run of a plan.

    Args:
        plan: the steps, and the settings of each process.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sut = SystemUnderTest(plan.executor_seed, plan.processes)
        self.simulated_s = 0.0
        self._delays = OverdueDelays()
        self._done = False

    @property
    def trace(self) -> list[str]:
        """The steps so far, and what came of them."""
        return self.sut.trace

    @property
    def steps(self) -> int:
        """How many turns the actors have taken."""
        return self.sut.executor.steps

    def run(self) -> Scenario:
        """Carry out the plan, let all work end, and check the history.

        Raises:
            BrokenContract: the first violation.
        """
        spools = any("spools" in settings for settings in self.plan.processes)
        with simulated_bounds(small=self.plan.small, spools=spools):
            self._run()
        return self

    def _run(self) -> None:
        sut = self.sut
        loggers = [logging.getLogger(name) for name in ("perdure", "perdure.store")]
        were_disabled = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True  # each death would be logged
        try:
            self._survive(sut.start)
            for step in self.plan.steps:
                sut.trace.append(str(step))
                action = TABLE[step.do]
                self._survive(partial(action.do, sut, **step.how))
            self._finish()
        finally:
            sut.executor.close()
            sut.database.end()
            for logger, was_disabled in zip(loggers, were_disabled, strict=True):
                logger.disabled = was_disabled
            self.simulated_s = sut.executor.clock.passed_us / 1_000_000

    def _survive(self, do: Callable[[], object]) -> None:
        """Do one thing. If the process dies in it, start a successor; errors of the disk are expected.

        Raises:
            BrokenContract: anything else went wrong.
        """
        sut = self.sut
        following: Callable[[], object] | None = do
        while following is not None:
            now, following = following, None
            try:
                now()
            except Killed:
                sut.trace.append("-> the process died")
                following = partial(sut.start_successor, sut.disk)
            except PowerCut:
                sut.trace.append("-> the power was cut")
                sut.others.lose_owner()
                sut.lose_power()
                following = partial(sut.start_successor, disk_after_power_cut(sut.disk, sut.cut_seed))
            except StoreCorrupt as error:
                msg = f"the log is reported as damaged, and no fault damages it: {error}"
                raise BrokenContract(msg) from error
            except (PerdureError, TimeoutError) as error:
                sut.trace.append(f"-> {type(error).__name__}")
        for name, cause in sut.executor.crashes:
            if not isinstance(cause, StoreUnavailable):  # a journal answers a failing disk by dying
                sut.violations.append(f"the {name} died of {cause!r}")
        if sut.violations:
            raise BrokenContract(sut.violations[0])

    def _finish(self) -> None:
        """End all faults and let all work be handled; then live state and history must be right."""
        sut = self.sut
        sut.end_faults()
        self._survive(lambda: sut.others.calm(sut.system))
        self._survive(sut.lose_power)
        for _ in range(RESUME_TRIES):
            sut.trace.append("resume")
            self._survive(sut.resume)
            if not sut.trace[-1].startswith("->"):
                break
            self._survive(lambda: sut.system.advance(1.0))
        if sut.plays_roles:
            for _ in range(RESUME_TRIES):  # an owner must live for so long, and messages that kill it may be left
                sut.trace.append("what is gone is taken back")
                self._survive(lambda: sut.system.advance(GONE_S))
                if not sut.trace[-1].startswith("->"):
                    break
            sut.holdings.check_departed()
            sut.always_relays = True
            self._survive(partial(sut.restart, 5.0))
        rounds = FINAL_ROUNDS * (4 if sut.plays_roles else 1)  # a message that kills owners is handled by members meanwhile
        for seconds in itertools.chain((60.0,) * 6, (600.0,) * (rounds + round(sut.set_back_s / 600))):
            self._survive(partial(self._work_off, seconds))
            if self._done:
                break
        else:
            msg = f"some work never ends: {sut.system.admin.metrics()}"
            raise BrokenContract(msg)
        self._survive(sut.system.run_until_idle)
        if unanswered := sut.publisher_log.unanswered():
            msg = f"the publishes of {unanswered} were never answered"
            raise BrokenContract(msg)
        check_state(sut.system)
        sut.others.check_sessions()
        sut.spools.check_kept()
        sut.end_process()
        check_history(sut.history())
        sut.system.stop()

    def _work_off(self, seconds: float) -> None:
        """Let time pass, and settle what waits for manual consumers."""
        sut = self.sut
        sut.system.advance(seconds)
        self._delays.check(sut.system.recording, sut.executor.clock.now_us() - round(seconds / 2 * 1_000_000))
        while (delivery := sut.system.checkout(Manual, lease=1000.0)) is not None:
            delivery.ack()
        now = sut.system.admin.metrics()
        self._done = not now.ready + now.delayed + now.held + now.in_flight + sut.database.rows() + sut.spools.left()
