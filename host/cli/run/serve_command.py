"""`perdure serve`: an owner without handlers, so that web workers and scripts need none of their own to be one.

Roles and takeovers are in `perdure.processes`; SIGTERM and SIGINT in `perdure.runtime.process.serving`.
"""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from perdure.cli.terminal import Terminal
from perdure.runtime.process.service_manager import notify
from perdure.system import System

__all__ = ["serve"]


def serve(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="The data folder; made where there is none.", show_default=False)],
) -> None:
    """Own a folder for other processes, without handlers, until SIGTERM or SIGINT.

    Every System(FOLDER, shared=True) and perdure.connect(FOLDER) of this user is served. Where such a System owns the folder
    already, it is asked to hand over, and goes on as a member. When this command ends, a member takes over. Its log, on standard
    error, says which role it has and which processes come and go.
    """
    _log()
    console = Terminal()
    system = System(folder, shared=True, ownership="prefer")

    def started() -> None:
        console.say_line(f"{folder} is served, as {system.role}")
        notify()

    system.serve(started=started)
    console.say_line(f"{folder} is served no more")


def _log() -> None:
    """Write the log of perdure to standard error, unless its host has set up logging."""
    logger = logging.getLogger("perdure")
    if not logging.getLogger().handlers and not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
