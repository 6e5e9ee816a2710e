"""A process with a System that stands by for the owner of its partition. Arguments: the database, the queue, serve or start."""

from __future__ import annotations

import math
import os
import sys
from typing import Any

import perdure
from perdure.store.postgres import ownership


def main(dsn: str, name: str, how: str) -> None:
    """Run until SIGTERM or SIGINT."""
    system = perdure.System(store=perdure.PostgresStore(dsn, name=name, stand_by=math.inf))
    claim = ownership.claim

    def told(*of: Any, **how: Any) -> Any:
        try:
            return claim(*of, **how)
        except perdure.StoreLocked:
            os.write(1, b"waits\n")
            raise

    ownership.claim = told
    os.write(1, b"begins\n")
    if how == "serve":
        system.serve(started=lambda: os.write(1, b"owns\n"))
    else:
        system.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
