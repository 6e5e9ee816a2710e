"""`manage.py perdure` runs the worker; `manage.py perdure COMMAND ...` runs a command of perdure on the folder of the settings."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from perdure.cli.main import main
from perdure.integrations.django.functions import settings_of, system
from perdure.integrations.systemd import notify

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

__all__ = ["Command"]

GROUPS = ("dead-letters",)
"""Commands that have commands of their own."""


class Command(BaseCommand):
    """See the module."""

    help = "Run the handlers of all apps until SIGTERM; or a command of perdure, such as `status`, on the folder of the settings."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take everything as it is."""
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="run (the default), status, acts, ...")

    def handle(self, *_args: Any, words: list[str], **_options: Any) -> None:
        """Run the worker, or the command."""
        if words in ([], ["run"]):
            system().serve(started=self._started)
            return
        named = 2 if words[0] in GROUPS and len(words) > 1 else 1
        sys.argv = ["perdure", *words[:named], str(settings_of().folder), *words[named:]]
        main()

    def _started(self) -> None:
        notify()
        types = ", ".join(sorted(system().admin.handlers())) or "nothing"
        self.stdout.write(f"perdure runs; it handles {types}")
