"""What a message class declares about its handler's result, for type checkers alone.

The result itself is waited for in `perdure.publishing.results`.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from perdure.events.public_names import public

__all__ = ["Returns"]

R_co = TypeVar("R_co", covariant=True)


@public
class Returns(Generic[R_co]):
    """Base of a message class whose handler returns an `R_co`: `system.call(message)` then has that type.

    It adds no field and no method, and nothing checks a result against it at run time. Without it, `call` gives `Any`.
    """

    __slots__ = ()
