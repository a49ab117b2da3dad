"""Walks a jaxpr and lets the rule of each primitive make equations."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ArgotError, UnsupportedError
from . import rules
from .builder import Builder, Ref
from .jax_adapter import Atom, Eqn, Jaxpr

# Why primitives that people meet have no rule, and what to do instead.
_ADVICE = {
    "sort": "sorting secrets comes later; argmax, max and comparisons work",
    "top_k": "sorting secrets comes later; argmax and max work",
    "random_bits": "draw random numbers at a party, or pass them as inputs",
    "random_wrap": "draw random numbers at a party, or pass them as inputs",
    "random_seed": "draw random numbers at a party, or pass them as inputs",
    "conv_general_dilated": "write the convolution as a matrix product of patches",
    "pure_callback": "programs are data: nothing of the driver runs at the parties",
    "debug_print": "programs print nothing; reveal the value to a party",
}


def interpret(b: Builder, jaxpr: Jaxpr, args: Sequence[Ref]) -> list[Ref]:
    """The results of a jaxpr for these arguments, as equations of the builder. Raises UnsupportedError."""
    consts = [b.capture(value) for value in jaxpr.consts]
    env: dict[int | None, Ref] = {}
    for atom, ref in zip(jaxpr.params, [*consts, *args], strict=True):
        env[atom.key] = ref
    for eqn in jaxpr.equations:
        outer, b.where = b.where, eqn.where or b.where
        try:
            found = _apply(b, eqn, [_read(b, env, a) for a in eqn.inputs])
        finally:
            b.where = outer
        for atom, ref in zip(eqn.outputs, found, strict=True):
            env[atom.key] = ref
    return [_read(b, env, a) for a in jaxpr.results]


def _read(b: Builder, env: dict[int | None, Ref], atom: Atom) -> Ref:
    return env[atom.key] if atom.key is not None else b.capture(atom.value, atom.type)


def _apply(b: Builder, eqn: Eqn, operands: list[Ref]) -> list[Ref]:
    rule = rules.find(eqn.primitive)
    if rule is None:
        raise UnsupportedError(
            f"the JAX primitive `{eqn.primitive}`",
            wanted="one of " + ", ".join(rules.every()),
            todo=_ADVICE.get(eqn.primitive, "write it with these, or compute it at a party before sharing"),
            where=b.where or None,
        )
    try:
        result = rule(b, *operands, **eqn.params)
    except ArgotError as error:
        error.where = error.where or b.where or None
        raise
    return result if isinstance(result, list) else [result]
