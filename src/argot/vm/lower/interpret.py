"""Walks a jaxpr and lets the rule of each primitive make equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ArgotError, UnsupportedError
from . import complex, rules
from .builder import Builder
from .complex import Value
from .jax_adapter import Atom, Eqn, Jaxpr, evaluate

# Why primitives that people meet have no rule, and what to do instead.
_ADVICE = {
    "conv_general_dilated": "write the convolution as a matrix product of patches",
    "nextafter": "steps are the device's, 2^-f for f fraction bits, and no program knows f: add a constant",
}
_CALLS_BACK = (
    "programs are data, nothing of the driver runs at the parties: argot.reveal the value, print it in the driver"
)
_DRAW = "draw the numbers outside of the loop, or at a party, and pass them in"
_REAL = "compute with the parts: z.real, z.imag, and jax.lax.complex(real, imag)"

# Primitives that are no more than their bodies: what stands inside is judged there.
_BODIES = frozenset(
    ["jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "remat2",
     "checkpoint", "scan", "while", "cond"]
)  # fmt: skip


def interpret(b: Builder, jaxpr: Jaxpr, args: Sequence[Value]) -> list[Any]:
    """The results of a jaxpr for these arguments, as equations of the builder: `Ref`, `Complex` where they are complex.

    Raises UnsupportedError.
    """
    env: dict[int | None, Value] = {}
    given = len(jaxpr.consts)
    for atom, value in zip(jaxpr.params[:given], jaxpr.consts, strict=True):
        if complex.is_complex(atom.foreign):
            env[atom.key] = complex.capture(b, value)
        elif atom.type is not None:  # else the equation that uses it is refused
            env[atom.key] = b.capture(value)
    for atom, ref in zip(jaxpr.params[given:], args, strict=True):
        env[atom.key] = ref
    for eqn in jaxpr.equations:
        outer, b.where = b.where, eqn.where or b.where
        try:
            found = _apply(b, eqn, env)
        finally:
            b.where = outer
        for atom, ref in zip(eqn.outputs, found, strict=True):
            env[atom.key] = ref
    return [_read(b, env, a) for a in jaxpr.results]


def _read(b: Builder, env: dict[int | None, Value], atom: Atom) -> Value:
    if complex.is_complex(atom.foreign):
        return env[atom.key] if atom.key is not None else complex.capture(b, atom.value)
    if atom.type is None:
        raise UnsupportedError(f"a result of dtype {atom.foreign}", wanted=_DTYPES, todo=_REAL, where=b.where or None)
    return env[atom.key] if atom.key is not None else b.capture(atom.value, atom.type)


_DTYPES = "booleans, integers of up to 64 bits, or floats"


def _apply(b: Builder, eqn: Eqn, env: dict[int | None, Value]) -> list[Value]:
    rule, nested = rules.find(eqn.primitive), eqn.primitive in _BODIES
    foreign = [a.foreign for a in (*eqn.inputs, *(() if nested else eqn.outputs)) if a.type is None]
    if foreign and not nested:
        rule = complex.find(eqn.primitive)
        if not all(map(complex.is_complex, foreign)):
            raise _unsupported(b, eqn, f" on {foreign[0]}", _OTHERWISE)
    operands = [_read(b, env, a) for a in eqn.inputs]
    keys = any(a.foreign and a.type is not None for a in (*eqn.inputs, *eqn.outputs))
    if rule is None or keys:
        found = _constant(b, eqn, operands)
        if found is not None:
            return found
    if foreign and rule is None:
        raise _unsupported(b, eqn, f" on {foreign[0]}", _REAL, complex.supported())
    if eqn.effects and rule is None:
        raise _unsupported(b, eqn, "", _CALLS_BACK)
    if keys and not nested:
        raise _unsupported(b, eqn, " on a random key that is not a constant", _DRAW)
    if rule is None:
        raise _unsupported(b, eqn, "", _ADVICE.get(eqn.primitive, _OTHERWISE))
    try:
        result = rule(b, *operands, **eqn.params)
    except ArgotError as error:
        error.where = error.where or b.where or None
        raise
    return result if isinstance(result, list) else [result]


_OTHERWISE = "write it with these, or compute it at a party before sharing"


def _constant(b: Builder, eqn: Eqn, operands: Sequence[Value]) -> list[Value] | None:
    """The results of an equation on constants alone, computed now, by JAX: they are constants of the program too."""
    arrays = [array for array in map(complex.known, operands) if array is not None]
    strange = any(a.type is None and not complex.is_complex(a.foreign) for a in eqn.outputs)
    if eqn.effects or strange or len(arrays) < len(operands):
        return None
    try:
        found = evaluate(eqn, arrays)
    except Exception:
        return None  # then it is refused like any other that has no rule
    return [
        b.constant(array, a.type) if a.type is not None else complex.constant(b, array)
        for array, a in zip(found, eqn.outputs, strict=True)
    ]


def _unsupported(b: Builder, eqn: Eqn, reason: str, todo: str, known: Sequence[str] | None = None) -> UnsupportedError:
    return UnsupportedError(
        f"the JAX primitive `{eqn.primitive}`{reason}",
        wanted="one of " + ", ".join(rules.every() if known is None else known),
        todo=todo,
        where=b.where or None,
    )
