"""Which rights a command takes, and what has to be asked of the actors before that is known: a command may name a message only.

Pure but for a mark: what a peer edits of a dead letter is noted as edited, whether the peer says so or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from perdure.actors.core.messages import Report, TakeSnapshot, WhenIdle
from perdure.actors.sessions.figures import AskFigures
from perdure.actors.sessions.handover import HandOver
from perdure.events import commands
from perdure.events.actions import ACTIONS
from perdure.events.handlers import registry
from perdure.events.queue.searching.expression import type_meant
from perdure.events.queue.searching.letter_search import CountLetters, LettersOf, Selection
from perdure.events.queue.searching.live_messages import CountLive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.sessions.figures import RunFigures
    from perdure.events.queue.dead_letters import Letter
    from perdure.events.structures.bulk import Bulk

__all__ = ["Need", "Question", "needs_of", "of_figures"]

DISPATCHER = "dispatcher"
ALL = ("",)
"""All types, or none in particular."""


class Need(NamedTuple):
    """A right that a command takes."""

    action: str
    types: tuple[str, ...]


class Question(NamedTuple):
    """What has to be asked of an actor before it is known which rights a command takes."""

    actor: str
    command: Any
    needs: Callable[[Any], list[Need]]
    """Returns the rights that it takes, from the actor's answer."""


def needs_of(actor: str, command: Any) -> list[Need] | Question:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return the rights that a peer's command to an actor takes. Outcomes take none: they count only for the holder of a lease."""
    match command:
        case commands.Publish(drafts=commands.DraftRun(type=name)):
            return [Need("publish", (name,))]
        case commands.Publish(drafts=drafts):
            return [Need("publish", tuple({draft.type for draft in drafts}))]
        case commands.Cancel(id=ident):
            return _of_message("cancel", ident)
        case commands.LookUp(id=ident) | commands.AwaitResult(id=ident):
            return _of_message("look", ident)
        case commands.RunNow(schedule="", id=ident):
            return _of_message("run-now", ident)
        case commands.RunNow(schedule=schedule):
            return [Need("run-now", (schedule,))]
        case Selection(id=str(ident)):
            return _of_message("reveal", ident)
        case Selection(type=name, where=where):
            name = name or (type_meant(where) if where else None)
            # Without a type all are searched, so that the answer would tell of each.
            return (
                [Need("reveal", (name,))]
                if name
                else Question("dead_letters", None, lambda all_: [Need("reveal", ("", *all_.by_type))])
            )
        case commands.Replay() | commands.Purge():
            return _of_letters(command)
        case commands.BeginBulk(action="cancel", where=where):
            return Question("queue", CountLive(where), lambda counted: [Need("cancel", tuple(counted.by_type) or ALL)])
        case commands.BeginBulk(action=bulk_action, where=where):
            return Question("dead_letters", CountLetters(where), lambda counted: [Need(bulk_action, tuple(counted.by_type) or ALL)])
        case Report() if actor == DISPATCHER:
            return Question(actor, command, lambda handlers: [Need("look", ("", *handlers))])
        case commands.LookAtBulk(bulk=""):
            return Question("queue", Report(), lambda report: [Need("look", ("", *report.by_type))])
        case commands.LookAtBulk():
            return Question("queue", command, _of_bulk)
        case Report():
            return Question("queue", command, lambda report: [Need("look", ("", *report.by_type))])
        case CountLive():
            return Question("queue", command, lambda counted: [Need("look", ("", *counted.by_type))])
        case CountLetters() | None:
            return Question("dead_letters", command, lambda counted: [Need("look", ("", *counted.by_type))])
        case commands.Tick(draft=commands.Draft(type=name)):
            return [Need("publish", (name,))]
        case commands.CheckOut(type=name):
            return [Need("consume", (name,))]
        case registry.Register(event=event):
            return [Need("consume", (event.type,))]
        case registry.Note(act=act):
            return [Need(act.action if act.action in ACTIONS else "configure", ALL)]
        case registry.Pause(type=name) | registry.Resume(type=name) | registry.Scale(type=name) | registry.Configure(type=name):
            return [Need(type(command).__name__.lower(), (name,))]
        case _:
            action = PLAIN.get(type(command))
            return [] if action is None else [Need(action, ALL)]


PLAIN: dict[type, str] = {
    WhenIdle: "look",
    AskFigures: "look",
    TakeSnapshot: "snapshot",
    HandOver: "own",
}


def of_figures(figures: RunFigures) -> list[Need]:
    """Return the rights that the figures of a run take: they name the types of all its handlers and messages."""
    return [Need("look", ("", *figures.handlers, *figures.ended_before))]


def _of_bulk(bulk: Bulk | None) -> list[Need]:
    """Return the rights to look at a bulk act whose id is known: its type, where its expression names one."""
    kind = None if bulk is None else type_meant(bulk.where)
    return [Need("look", ("",) if kind is None else ("", kind))]


def _of_message(action: str, ident: str) -> Question:
    return Question("queue", commands.LookUp(ident), lambda looked: [Need(action, (str(looked.type),))])


def _of_letters(command: commands.Replay | commands.Purge) -> Question:
    if isinstance(command, commands.Purge):
        numbers = [death.number for death in command.deaths]
        return Question("dead_letters", LettersOf(numbers), lambda letters: [Need("purge", _types(letters))])
    return Question(
        "dead_letters", LettersOf([item.death.number for item in command.items]), lambda found: _of_replay(command, found)
    )


def _of_replay(command: commands.Replay, letters: Sequence[Letter | None]) -> list[Need]:
    """Return the rights of a replay, by what there is, not by what the peer says of it."""
    plain: set[str] = set()
    edited: set[str] = set()
    for i, (item, letter) in enumerate(zip(command.items, letters, strict=True)):
        if letter is not None and item.published != letter.event.published:
            command.items[i] = item._replace(edited=True)
            edited |= {item.published.type, letter.event.published.type}
        else:
            (edited if item.edited else plain).add(item.published.type)
    return [Need(action, tuple(types)) for action, types in (("replay", plain), ("edit", edited)) if types]


def _types(letters: Sequence[Letter | None]) -> tuple[str, ...]:
    return tuple({letter.event.published.type for letter in letters if letter is not None})
