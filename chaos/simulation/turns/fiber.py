"""`Fiber`: code that can stop in the middle, so that others go on meanwhile, however they end, until `resume` is called.

It has a stack of its own, which is a thread's; but one thread runs at a time, so that all is repeated exactly. When it goes on is
up to `simulated_executor`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fiber"]

T = TypeVar("T")


class Fiber(Generic[T]):
    """Code that is run in pieces.

    Args:
        code: what it does.
    """

    def __init__(self, code: Callable[[], T]) -> None:
        self._code = code
        self._outside, self._inside = threading.Lock(), threading.Lock()
        """Each is held while its side waits for the other one."""
        self._outside.acquire()
        self._inside.acquire()
        self._unwinds_with: BaseException | None = None
        self._error: BaseException | None = None
        self._values: list[T] = []
        """What the code has returned."""
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="simulated-fiber", daemon=True)
        self._has_begun = False

    def resume(self) -> bool:
        """Run the next piece, in the other thread; return whether it was the last.

        Raises:
            Whatever the code raises.
        """
        if self._has_begun:
            self._inside.release()
        else:
            self._has_begun = True
            self._thread.start()
        self._outside.acquire()
        if self._is_over:
            self._thread.join()
            if self._error is not None:
                raise self._error
        return self._is_over

    @property
    def value(self) -> T:
        """What the code has returned, once it is over."""
        return self._values[0]

    def suspend(self) -> None:
        """End the piece, and return when the next one begins; called by the code.

        Raises:
            BaseException: there is none; see `unwind`.
        """
        self._outside.release()
        self._inside.acquire()
        if self._unwinds_with is not None:
            raise self._unwinds_with

    def unwind(self, error: BaseException) -> None:
        """Raise an error where the code has stopped, and each time that it would stop again, until it is over."""
        self._unwinds_with = error
        while self._has_begun and not self._is_over:
            try:
                self.resume()
            except BaseException:  # noqa: BLE001 - nothing is left that would want to know
                return

    def _run(self) -> None:
        try:
            self._values.append(self._code())
        except BaseException as error:  # noqa: BLE001 - raised on the other side
            self._error = error
        finally:
            self._is_over = True
            self._outside.release()
