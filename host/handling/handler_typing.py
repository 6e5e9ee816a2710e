"""What type checkers know of handlers: a handler of `Order` takes an `Order` first, and stays what it was once it is decorated.

Nothing here runs; how a handler's signature is read at run time is in `signatures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HandlerClass", "HandlerDecorator", "Takes"]

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")
R_co = TypeVar("R_co", covariant=True)
M_co = TypeVar("M_co", covariant=True)
M_contra = TypeVar("M_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class Takes(Protocol[M_contra, P, R_co]):
    """A callable with any signature whose first argument may be an `M_contra`.

    A function matches if it matches both overloads: the first one keeps its signature, the second one checks its first argument.
    """

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @overload
    def __call__(self, message: M_contra, /, *args: Any, **kwargs: Any) -> Any: ...


class HandlerClass(Protocol[M_contra, C_contra]):
    """A class of `C_contra` objects with a method `handle` whose first argument may be an `M_contra`; the class itself matches."""

    def handle(self, instance: C_contra, message: M_contra, /, *args: Any, **kwargs: Any) -> Any:
        """See `System.handler`."""


class HandlerDecorator(Protocol[M_co]):
    """The decorator that registers a handler of `M_co`."""

    @overload
    def __call__(self, handler: HandlerClass[M_co, C], /) -> type[C]: ...

    @overload
    def __call__(self, handler: Takes[M_co, P, R], /) -> Callable[P, R]: ...
