"""An event that MessagePack cannot hold costs its own request, and nothing else: no actor, no other request, no budget.

The door refuses all that is known of the kind (see tests/host/front_door/test_bad_input); these get past it on purpose.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import attrs
import pytest

import perdure
from perdure.actors.core.messages import Append
from perdure.events import vocabulary as ev
from perdure.events.handlers import registry as handler_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.journal.decider import Decider
    from perdure.events.commands import Draft

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    name: str


@attrs.frozen
class Child:
    name: str


def poisoned(draft: Draft) -> Draft:
    """Return a draft with a lone surrogate, which has no UTF-8."""
    return draft._replace(headers={"bad": "\ud800"})


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.002)


def test_publish_that_cannot_be_written_is_refused_alone() -> None:
    handled: list[str] = []
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=0))
    system.handler(Job, parallelism=2)(lambda job: handled.append(job.name))
    with system:
        futures = [system.submit(Job(str(n))) for n in range(100)]
        for n in range(20):
            with pytest.raises(perdure.InvalidMessage, match=r"cannot be put on record.*surrogates.*[Nn]othing"):
                system.publish_drafts([system.drafts.draft(Job("good")), poisoned(system.drafts.draft(Job(f"bad {n}")))])
            futures += [system.submit(Job(f"{n}.{i}")) for i in range(10)]
        assert len({future.result(timeout=PATIENCE_S) for future in futures}) == 300
        system.drain(timeout=PATIENCE_S)
        numbers = system.admin.metrics()
        assert (numbers.published, numbers.completed, numbers.runtime_counters.get("actor_deaths", 0)) == (300, 300, 0)
        assert numbers.runtime_counters["encoding_errors"] >= 1
        assert sorted(handled) == sorted([str(n) for n in range(100)] + [f"{n}.{i}" for n in range(20) for i in range(10)])
        assert not system.runtime.pending.outstanding, "nothing is sent again for ever"


def test_outcome_that_cannot_be_written_fails_its_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=0))
    handled: list[str] = []

    @system.handler(Job, retries=1, backoff=0.0)
    def work(job: Job, ctx: perdure.Context) -> None:
        handled.append(job.name)
        ctx.publish(Child(job.name))

    drafts = system.drafts
    whole = drafts.draft

    def draft(message: object, **options: object) -> Draft:
        made = whole(message, **options)
        return poisoned(made) if message == Child("bad") else made

    with system:
        monkeypatch.setattr(drafts, "draft", draft)
        ids = system.publish_many([Job("one"), Job("bad"), Job("two")])
        until(lambda: system.admin.metrics().dead_letters == 1 and system.admin.metrics().completed == 2)
        (letter,) = system.dead_letters.list()
        assert (letter.id, letter.attempts, letter.exception) == (ids[1], 2, "perdure.InvalidMessage")
        assert "cannot be put on record" in letter.error
        numbers = system.admin.metrics()
        assert (numbers.ready, numbers.published, numbers.runtime_counters.get("actor_deaths", 0)) == (2, 5, 0), "two children wait"
        assert handled.count("bad") == 2


def test_change_that_cannot_be_written_is_refused() -> None:
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=0))
    system.handler(Job)(lambda job: None)
    with system:
        name = system.drafts.names.name(Job)
        with pytest.raises(perdure.InvalidMessage, match="cannot be put on record"):
            system.ask("dispatcher", handler_rules.Configure(name, {"retries": 2**80}))
        system.admin.scale(Job, 3)
        assert system.admin.handlers()[name].parallelism == 3
        system.publish(Job("x"))
        system.drain(timeout=PATIENCE_S)
        assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_an_event_about_an_actor_is_given_up_and_those_after_it_are_on_record() -> None:
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=0))
    with system:
        system.runtime.directory.tell("supervisor", ev.Stopped("\ud800"))
        system.runtime.directory.tell("supervisor", ev.Stopped("after"))
        until(lambda: [record.event for record in system.audit.events(type="Stopped")] == [ev.Stopped("after")])
        counters = system.admin.metrics().runtime_counters
        assert counters.get("actor_deaths", 0) == 0
        assert counters["encoding_errors"] == 1


def test_an_event_that_follows_from_no_request_costs_one_journal() -> None:
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=1))
    system.handler(Job)(lambda job: None)
    with system:
        term = cast("Decider", system.runtime.directory.actors["queue"]).term
        system.runtime.directory.tell("journal", Append("queue", term, 0, [ev.Stopped("\ud800")], [], []))
        until(lambda: system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 1)
        system.publish(Job("x"))
        system.drain(timeout=PATIENCE_S)
        assert system.admin.metrics().completed == 1
