"""Random histories of several owners and one database from a seed, and what must hold after each."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from perdure.chaos.fencing.database import Database, Refused, Rules
from perdure.chaos.fencing.owner import Disconnected, Owner, Promises

if TYPE_CHECKING:
    from collections.abc import Generator

    from perdure.chaos.fencing.database import Transaction

__all__ = ["broken_promises"]

STEPS = 2_500
OWNERS = 3
SUSPENDED_S = 25.0
WEIGHTS = (50, 20, 5, 2, 923)
"""Of a row that is published, a lost connection, an owner that is suspended, a crash of the server, and a step of anything else."""
SERVER_STEPS = 0.6


class _Process:
    """An owner, what it waits for, and until when it is suspended."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.life: Generator[Transaction | None, None, None] = owner.life()
        self.waits_for: Transaction | None = None
        self.is_connected = True
        self.until_s = 0.0

    def step(self) -> None:
        """Go on, if what it waits for has come."""
        transaction = self.waits_for
        if transaction is not None and self.is_connected and not transaction.is_over:
            return
        self.waits_for = None
        if transaction is None or (self.is_connected and not transaction.error):
            self.waits_for = next(self.life)
        elif not self.is_connected:
            self.is_connected = True
            self.waits_for = self.life.throw(Disconnected())
        else:
            self.waits_for = self.life.throw(Refused(transaction.error))


def broken_promises(seed: int, rules: Rules = Rules()) -> list[str]:  # noqa: B008 - it cannot be changed
    """Run one history, and return what does not hold after it; nothing, unless rules are left out."""
    rng = random.Random(seed)
    database, promises = Database(rules), Promises()
    processes = [_Process(Owner(name, database, promises, rng)) for name in "ABC"[:OWNERS]]
    problems: list[str] = []
    published_rows = 0
    for _ in range(STEPS):
        database.now_s += rng.random() * 0.2
        what = rng.choices(("publish", "cut off", "suspend", "crash", "go on"), WEIGHTS)[0]
        if what == "publish":
            published_rows += 1
            database.rows.add(published_rows)
        elif what == "cut off":
            rng.choice(processes).is_connected = False  # what it waits for goes on in the server
        elif what == "suspend":
            rng.choice(processes).until_s = database.now_s + rng.random() * SUSPENDED_S
        elif what == "crash":
            database.crash()
            for process in processes:
                process.is_connected = process.waits_for is None
        if database.running and rng.random() < SERVER_STEPS:
            database.step(rng.choice(database.running))
        else:
            process = rng.choice(processes)
            if process.until_s <= database.now_s:
                process.step()
        valid = [process.owner.name for process in processes if process.owner.valid_until_s > database.now_s]
        if len(valid) > 1 and not problems:
            problems.append(f"{' and '.join(valid)} hand out at the same time")
    while database.running:
        database.step(rng.choice(database.running))
    return problems + _judged(database, promises, published_rows)


def _judged(database: Database, promises: Promises, published_rows: int) -> list[str]:
    problems = []
    idents = [frame.ident for frame in database.frames]
    lost, doubled = promises.published - {*idents}, len(idents) - len({*idents})
    if lost or doubled:
        problems.append(f"published and not there: {sorted(lost)[:3]}; there twice: {doubled}")
    if lies := promises.refused & {*idents}:
        problems.append(f"refused and there all the same: {sorted(lies)[:3]}")
    seq, before = 0, ""
    for frame in database.frames:
        if (frame.first_seq, frame.follows) != (seq + 1, before):
            problems.append(f"{frame.ident} does not continue {before or 'nothing'}")
            break
        seq, before = frame.last_seq, frame.ident
    rows = Counter(row for frame in database.frames for row in frame.taken)
    if twice := [row for row, times in rows.items() if times > 1]:
        problems.append(f"rows that were taken in twice: {twice[:3]}")
    if gone := {*range(1, published_rows + 1)} - {*rows} - database.rows:
        problems.append(f"rows that are nowhere: {sorted(gone)[:3]}")
    return problems
