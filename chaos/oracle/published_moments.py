"""When a message is due, or expires, must be as long after its publish as was asked, whichever clock the publishing process has.

That holds for what handlers publish, too, wherever they run. The clock of the process that owns the log is the machine's, which is
set back between two owners, and put forward under a living one. What waits to be taken in meanwhile waits longer, or shorter, by as
much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.reference_model import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.chaos.simulation.simulated_clock import SimulatedClock
    from perdure.events.vocabulary import Published

__all__ = ["PublishedMoments"]


@attrs.define
class _Call:
    """From when to when a message was published, perhaps several times, in simulated time; None: it has not returned."""

    from_us: int
    until_us: int | None


@attrs.define
class PublishedMoments:
    """The calls that published messages, by id."""

    _calls: dict[str, _Call] = attrs.field(factory=dict)

    def begin(self, idents: list[str], clock: SimulatedClock) -> None:
        """Note that a call begins which publishes messages."""
        for ident in idents:
            call = self._calls.setdefault(ident, _Call(clock.passed_us, None))
            call.until_us = None

    def end(self, idents: list[str], clock: SimulatedClock) -> None:
        """Note that it has returned, or raised."""
        for ident in idents:
            self._calls[ident].until_us = clock.passed_us

    def check(self, published: Published, options: Mapping[str, Any], clock: SimulatedClock) -> None:
        """Check a message on record against the options that it was published with.

        Raises:
            BrokenContract: it is due, or expires, too soon or too late.
        """
        call = self._calls.get(published.id)
        if call is None:
            return
        for option, at_us in (("ttl", published.expires_us), ("delay", published.due_us)):
            if option in options and at_us:  # 0: published again without options, once its id was forgotten
                length_us = round(options[option] * 1_000_000)
                passed_us = at_us - clock.start_us - length_us
                least_us, most_us = clock.set_back_since(call.from_us)
                soonest_us, latest_us = call.from_us - most_us, (call.until_us or clock.passed_us) - least_us
                require(
                    soonest_us <= passed_us <= latest_us,
                    f"{published.id} with {option}={options[option]:g}: {(passed_us - latest_us) / 1e6:g} s later than it may be, "
                    f"or {(soonest_us - passed_us) / 1e6:g} s sooner",
                )
