"""The logistic function and the hyperbolic tangent, from exp and reciprocal."""

from __future__ import annotations

from ..protocol import Arith, Protocol
from .dispatch import derived
from .divide import reciprocal
from .exponential import exp


@derived("exp() + reciprocal(l=k)")
async def sigmoid(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """1 / (1 + e^-x)."""
    one = 1 << p.fraction_bits
    return await reciprocal(p, p.add_public(await exp(p, p.neg(x), bound), one))


@derived("sigmoid(l=min(l+1, k))")
async def tanh(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """tanh x = 2 / (1 + e^-2x) - 1."""
    doubled = await sigmoid(p, p.shl(x, 1), None if bound is None else bound + 1)
    return p.add_public(p.shl(doubled, 1), -(1 << p.fraction_bits))
