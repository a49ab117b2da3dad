"""Examples: how each rule shows, and is tested to have, the meaning of its primitive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Arg:
    """A random argument: uniform in [low, high), of a dtype and shape. Public ones are known to all parties."""

    shape: tuple[int, ...] = (3, 4)
    low: float = -4.0
    high: float = 4.0
    dtype: str = "float64"
    public: bool = False


@dataclass(frozen=True)
class Example:
    """`fn(J, *args)` uses the primitive; `J` has jax, jnp and lax. `atol` and `rtol` are what it may be wrong."""

    fn: Callable[..., Any]
    args: tuple[Arg, ...]
    atol: float
    rtol: float


def example(fn: Callable[..., Any], *args: Arg, atol: float = 1e-4, rtol: float = 1e-4) -> Callable[[F], F]:
    """Attach an example to a rule; the default argument is one real array of shape (3, 4) in [-4, 4)."""

    def attach(rule: F) -> F:
        kept = getattr(rule, "examples", ())
        rule.examples = (Example(fn, args or (Arg(),), atol, rtol), *kept)  # type: ignore[attr-defined]
        return rule

    return attach


def bits(*shape: int) -> Arg:
    """Random booleans."""
    return Arg(shape, 0, 2, "bool")


def ints(*shape: int, low: int = -9, high: int = 9, dtype: str = "int64", public: bool = False) -> Arg:
    """Random integers."""
    return Arg(shape, low, high, dtype, public)


def reals(*shape: int, low: float = -4.0, high: float = 4.0, public: bool = False) -> Arg:
    """Random reals."""
    return Arg(shape, low, high, "float64", public)
