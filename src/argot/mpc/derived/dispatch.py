"""A derived function: the protocol's own where it has one, else the general one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar

from ..protocol import Protocol

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Derived(Generic[R]):
    """`f(p, ...)` awaits `p.f(...)` if the protocol defines that method, else the general function.

    `f.general(p, ...)` is the general one in any case: what protocols fall back to, and what tests compare with.
    """

    def __init__(self, general: Callable[..., Awaitable[R]]) -> None:
        self.general = general
        self.__name__ = general.__name__
        self.__doc__ = general.__doc__
        self.__wrapped__ = general

    def __call__(self, p: Protocol, *args: Any, **kwargs: Any) -> Awaitable[R]:
        own: Callable[..., Awaitable[R]] | None = getattr(p, self.__name__, None)
        return own(*args, **kwargs) if own is not None else self.general(p, *args, **kwargs)


def derived(general: Callable[..., Awaitable[R]]) -> Derived[R]:
    """Makes an async function of a protocol a derived one, under its name."""
    return Derived(general)
