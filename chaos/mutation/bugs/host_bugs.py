"""Planted bugs in host/, and in what calls its handlers: life of a System, message types, handlers, time.

The rules are in `event_bugs`, the actors in `actor_bugs`, the files in `store_bugs`.
"""

from __future__ import annotations

from perdure.chaos.mutation.bug import SCENARIOS, Bug, Edit

__all__ = ["HOST_BUGS"]

HOST_BUGS: tuple[Bug, ...] = (
    Bug(
        "a forked child believes that it runs",
        "life of a System",
        "tests/host/forks/test_forked.py",
        0,
        (
            Edit(
                "perdure.runtime.process.live_systems",
                "lambda system: system.inner.forked(parent)",
                "lambda _: None",
            ),
        ),
    ),
    Bug(
        "one that cannot be told of a fork keeps the rest from it",
        "life of a System",
        "tests/host/forks/test_forked.py",
        0,
        (
            Edit(
                "perdure.store.disk.each_alone",
                '            failed.append((getattr(one, "__qualname__", type(one).__name__), error))\n',
                '            failed.append((getattr(one, "__qualname__", type(one).__name__), error))\n            break\n',
            ),
        ),
    ),
    Bug(
        "a start saves nothing of what it has folded",
        "snapshot",
        "tests/actors/journal/test_start_snapshot.py",
        0,
        (Edit("perdure.runtime.engine", "if saves_what_was_folded(states", "if False and saves_what_was_folded(states"),),
    ),
    Bug(
        "the parts of a served system are left running",
        "life of a System",
        "tests/host/runtime/test_serving.py",
        0,
        (
            Edit(
                "perdure.runtime.process.serving",
                "    _stop_parts(started_parts)\n    system.stop(grace)",
                "    system.stop(grace)",
            ),
        ),
    ),
    Bug(
        "a tuple may arrive as a list",
        "message types",
        "tests/host/payloads/test_message_types.py",
        0,
        (
            Edit(
                "perdure.payloads.differences",
                "isinstance(b, list if isinstance(a, list) else tuple)",
                "isinstance(b, (list, tuple))",
            ),
        ),
    ),
    Bug(
        "a type that cannot be decoded is registered",
        "message types",
        "tests/host/payloads/test_message_types.py",
        0,
        (
            Edit(
                "perdure.publishing.drafts",
                "            self.fidelity.check_type(cls)  # before the name is taken",
                "            # before the name is taken",
            ),
        ),
    ),
    Bug(
        "what a plain handler returns is not awaited",
        "handlers",
        "tests/host/handling/calling/test_returned.py",
        0,
        (
            Edit(
                "perdure.actors.execution.returned",
                "return inspect.isawaitable(value) or isinstance(value, concurrent.futures.Future)",
                "return False",
            ),
        ),
    ),
    Bug(
        "an exception that cannot be described ends its worker",
        "handlers",
        "tests/host/handling/calling/test_hostile_handlers.py",
        0,
        (
            Edit(
                "perdure.actors.workers.outcome",
                "        except BaseException as second:  # noqa: BLE001 - the exception is foreign code, its class",
                "        except ZeroDivisionError as second:  # its class",
            ),
        ),
        found=True,
    ),
    Bug(
        "a naive datetime is taken for one of UTC",
        "time",
        "tests/host/publishing/test_moments.py",
        0,
        (
            Edit(
                "perdure.arguments.moments",
                "    if isinstance(value, dt.datetime):\n",
                "    if isinstance(value, dt.datetime):\n        value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)\n",
            ),
        ),
    ),
    Bug(
        "time that a clock jumped over counts as time that passed",
        "time",
        "tests/host/runtime/test_clock.py",
        0,
        (Edit("perdure.actors.core.clock", "        jumps = tuple(self._jumps)\n", "        jumps = ()\n"),),
    ),
    Bug(
        "a schedule sleeps by a clock that was put back, and misses that it goes forward again",
        "time",
        "tests/actors/services/test_scheduler.py",
        0,
        (Edit("perdure.actors.services.scheduler", "                wait_us = min(wait_us, LOOK_US)\n", "                pass\n"),),
        found=True,
    ),
    Bug(
        "a schedule goes back with the clock, though a tick that was sent before has come between",
        "time",
        "tests/actors/services/test_schedulers_together.py",
        0,
        (
            Edit(
                "perdure.actors.services.scheduler",
                "            return self._begin(schedule, Tick(schedule.name, now_us, None, last_us, anew=True))\n",
                "            self._send(Tick(schedule.name, now_us, None, last_us, anew=True))\n"
                "            self.last[schedule.name] = last_us = now_us\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "a schedule goes back with the clock once for each process",
        "time",
        "tests/actors/services/test_schedulers_together.py",
        0,
        (
            Edit(
                "perdure.events.queue.decisions",
                "        if command.after_us != dealt_with_us:\n",
                "        if command.due_us <= dealt_with_us and command.after_us != dealt_with_us:\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "a tick that is late counts as missed",
        "schedules",
        "simulation",
        SCENARIOS,
        (Edit("perdure.events.schedules.ticks", "len(times) == 1 and times[0] >= started_us", "len(times) == 1 and not times"),),
    ),
    Bug(
        "an owner takes the moments of a process with another clock as they are",
        "time",
        "tests/actors/sessions/test_moments.py",
        0,
        (
            Edit(
                "perdure.actors.sessions.session",
                "            command = as_read(command, self._owner.ahead_us)\n",
                "            pass\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "a member whose clock is ahead of its owner's takes each lease for one that has run out",
        "time",
        "tests/actors/sessions/test_moments.py",
        0,
        (
            Edit(
                "perdure.processes.to_owner.equipped",
                "            owner.ahead_us = elements[0] - self.ahead_us()\n",
                "            owner.ahead_us = 0\n",
            ),
        ),
        found=True,
    ),
    Bug(
        "a process whose clock is ahead of the wall clock sends moments by its own",
        "time",
        "clients",
        60,
        (
            Edit(
                "perdure.processes.to_owner.equipped",
                "        return as_sent(command, self.ahead_us) if self.reads_moments or not to_owner else command\n",
                "        return command\n",
            ),
        ),
        favoured=("clock_set_back", "client_asks"),
        found=True,
    ),
    Bug(
        "the moments of what a handler in a member publishes do not cross",
        "time",
        "clients",
        200,
        (
            Edit(
                "perdure.events.moments",
                "        return command._replace(drafts=tuple(moved_draft(draft, by_us) for draft in command.drafts))\n",
                "        return command\n",
            ),
        ),
        favoured=("clock_set_back", "member_joins"),
    ),
)
