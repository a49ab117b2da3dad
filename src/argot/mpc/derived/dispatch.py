"""A derived function: the protocol's own where it has one, else the general one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from ...runtime import cost
from ...runtime.meter import declared
from ..protocol import Protocol

R = TypeVar("R", covariant=True)
General = Callable[..., Coroutine[Any, Any, R]]


class Derived(Generic[R]):
    """`f(p, ...)` awaits `p.f(...)` if the protocol defines that method, else the general function.

    `f.general(p, ...)` is the general one in any case: what protocols fall back to, and what tests compare with.
    `f.cost` is what that declares; a method of a protocol declares its own.
    """

    def __init__(self, general: General[R]) -> None:
        self.general = general
        self.cost = declared(general)
        self.__name__ = general.__name__
        self.__doc__ = general.__doc__
        self.__wrapped__ = general

    def __call__(self, p: Protocol, *args: Any, **kwargs: Any) -> Awaitable[R]:
        own: Callable[..., Awaitable[R]] | None = getattr(p, self.__name__, None)
        return own(*args, **kwargs) if own is not None else self.general(p, *args, **kwargs)

    def chosen(self, general: bool) -> Callable[..., Awaitable[R]]:
        """The general function, or this one, which prefers the protocol's own."""
        return self.general if general else self


def derived(
    made_of: str | None = None, *, rounds: str | None = None, bits: str | None = None
) -> Callable[[General[R]], Derived[R]]:
    """Makes an async function of a protocol a derived one, under its name. It declares its costs as `@cost` does."""

    def decorate(general: General[R]) -> Derived[R]:
        return Derived(cost(made_of, rounds=rounds, bits=bits)(general))

    return decorate
