"""The console that all commands print with. It prints markup as text and spells out control characters, so no message can use them.

Not here: which characters are control characters (`perdure.events.safe_text`).
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from perdure.events.errors import PerdureError
from perdure.events.safe_text import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import ConsoleOptions, RenderableType

__all__ = ["OutputFailed", "Terminal", "inert", "one_line", "told_as_output"]


class OutputFailed(PerdureError):
    """The output of a command could not be written."""


class Terminal(Console):
    """A Rich console for untrusted text. Styles are given by `Text` and `style=`, never in brackets."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        self._is_drawn_on = True
        super().__init__(stderr=stderr, markup=False, emoji=False, **options)
        self._is_drawn_on = options.get("force_terminal") or _is_tty(self.file)

    @property
    def is_terminal(self) -> bool:
        """Whether a bar or a screen can be drawn: `FORCE_COLOR` asks for colours in a pipe, and Rich takes it for both."""
        return super().is_terminal and self._is_drawn_on

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as Rich does.

        Raises:
            OutputFailed: the output takes nothing, as on a full disk.
        """
        with told_as_output("standard error" if self.stderr else "standard output"):
            super().print(*objects, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, and spell out every control character that Rich did not make."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(self._printable(segment.text), segment.style)

    def say_line(self, text: object, style: str = "") -> None:
        """Print a text as one line, however long it is, with line ends spelt out."""
        self.print(one_line(text, style), soft_wrap=True)

    def _printable(self, text: str) -> str:
        """Return a text as this stream can write it: a question mark for what a Latin or ASCII terminal has no character for."""
        plain = inert(text, lines=True)
        return plain if self.encoding.startswith("utf") else plain.encode(self.encoding, "replace").decode(self.encoding)


@contextmanager
def told_as_output(name: str = "standard output") -> Iterator[None]:
    """Tell an error of the file system within the block as one of the output.

    A reader that is gone (`perdure tail | head`) is no error of it, and ends a command without a word, as that of others.

    Raises:
        OutputFailed: the output could not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        msg = (
            f"{name} could not be written: {error.strerror}. What the command had done before is done: look (`perdure acts`, "
            "`perdure status`) before you run it again."
        )
        raise OutputFailed(msg) from error


def _is_tty(file: IO[str]) -> bool:
    try:
        return file.isatty()
    except (AttributeError, ValueError):  # a closed stream, or none at all
        return False


def one_line(text: object, style: str = "") -> Text:
    """Return a text for one line, with line ends spelt out."""
    return Text(inert(text), style=style)
