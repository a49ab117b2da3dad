"""Primitives that are written in JAX itself, in terms of others: traced where they stand, lowered as users' code is.

A rule says `return written(b, fn, x, y)`: `fn(jnp, x, y)` computes what the primitive does of arrays of these shapes
and dtypes, with what shares can do. Its equations carry the user's line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .builder import Builder, Ref
from .interpret import interpret
from .jax_adapter import jax, make


def written(b: Builder, fn: Callable[..., Any], *refs: Ref) -> list[Ref]:
    """The results of `fn(jnp, *refs)`, flat."""
    jnp = jax().numpy
    jaxpr, _ = make(lambda *args: fn(jnp, *args), [(x.type.shape, x.type.numpy) for x in refs])
    return interpret(b, jaxpr, refs)
