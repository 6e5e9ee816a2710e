"""The decorators of a `System`: what they are given is checked, put together and entered at once.

Their signatures and docs are in `declaring`. Options are checked in `handler_options`, and put together with the function in
`registration`. Workers run the handlers (`perdure.actors.workers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.errors import InvalidMessage
from perdure.handling.declaring import Declaring
from perdure.handling.recurring.schedules import Schedule, Tick, plain
from perdure.handling.registration import Registration, tick_type
from perdure.handling.signatures import label_of
from perdure.payloads.type_names import module_of
from perdure.runtime.current_run import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.handling.declaring import Ticks
    from perdure.handling.hooks import Hooks
    from perdure.publishing.drafts import Drafts

__all__ = ["Handling"]


class Handling(Running, Declaring):
    """The part of `System` that registers handlers and schedules, before a start or while it runs."""

    drafts: Drafts
    _registered: Registration
    _hooks: Hooks

    def _handler(self, cls: type, options: Mapping[str, Any], *, replace: bool) -> Any:
        name = self.drafts.handled_class(cls)
        checked = self._registered.check("handler", name, options)

        def register(handler: Any) -> Any:
            self._enter(self._registered.make(handler, name, checked, cls=cls, replace=replace))
            return handler

        return register

    def _batch_handler(self, cls: type, options: Mapping[str, Any], batch: Mapping[str, Any], *, replace: bool) -> Any:
        name = self.drafts.handled_class(cls)
        checked = self._registered.check("batch_handler", name, options)

        def register(handler: Any) -> Any:
            self._enter(self._registered.make(handler, name, checked, cls=cls, takes=1, replace=replace, batch=batch))
            return handler

        return register

    def _every_message(self, ticks: Ticks, message: Any, options: dict[str, Any]) -> None:
        name = ticks.name or self.drafts.names.name(type(message))
        made = self._registered.schedule(ticks, name=name, message=message, options=options)
        self._enter_schedule(made)

    def _every_tick(self, ticks: Ticks, options: Mapping[str, Any]) -> Any:
        def register(handler: Any) -> Any:
            label = ticks.name or (getattr(handler, "__qualname__", None) and f"{module_of(handler)}.{handler.__qualname__}")
            if not label:
                msg = f"every: {label_of(handler)} has no name of its own; give its ticks one: every(..., name=...)"
                raise InvalidMessage(msg)
            self.drafts.names.name(Tick)
            checked = self._registered.check("every", tick_type(label), options)
            schedule = self._registered.schedule(ticks, name=label, message=None, options={})
            spec = self._registered.make(handler, tick_type(label), checked, cls=Tick, replace=ticks.replace)
            self.drafts.names.keep(tick_type(label), Tick)
            self._enter(attrs.evolve(spec, every=plain(ticks.when), zone=None if ticks.zone is None else str(ticks.zone)), schedule)
            return handler

        return register

    def _on_start(self, hook: Callable[[], Any]) -> None:
        if self._engine is not None:
            msg = f"hook: {label_of(hook)} is for a start, and the system runs already; register it before"
            raise InvalidMessage(msg)
        self._hooks.add(self._hooks.start, hook)

    def _on_stop(self, hook: Callable[[], Any]) -> None:
        self._hooks.add(self._hooks.stop, hook)

    def _enter(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """Add a checked handler; if the running system cannot take it, nothing is left behind."""
        undo = self._registered.enter(spec, schedule)
        try:
            self._add(spec, schedule)
        except BaseException:
            undo()
            raise

    def _enter_schedule(self, made: Schedule) -> None:
        """Add a checked schedule of a message of its own."""
        self._registered.schedules[made.name] = made
        if self._engine is not None:
            self._engine.runtime.add_schedule(made)

    def _add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        if self._engine is not None:
            self._engine.add(spec, schedule)
