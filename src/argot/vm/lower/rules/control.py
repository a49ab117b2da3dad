"""Calls, loops and branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ...ir import PUBLIC, Block, Visibility
from .. import named
from ..builder import Builder, Ref, Scope
from ..complex import Value, only_reals
from ..example import example, ints, reals
from ..interpret import interpret
from ..jax_adapter import Jaxpr, name_in_jax, read


@example(lambda J, x: J.jax.jit(lambda v: v * 2)(x))
@example(lambda J, x: J.jnp.clip(x, -1, 1))
def jit(b: Builder, *args: Value, jaxpr: Any, name: str = "", **_: Any) -> list[Ref]:
    """A compiled function: its body, or a kernel for one of JAX's."""
    body = read(jaxpr)
    kernel = named.find(name)
    real = [x for x in args if isinstance(x, Ref)]
    if kernel is not None and len(real) == len(args) and body.results[0].type is not None:
        found = named.apply(b, kernel, real, jaxpr, dtype=body.results[0].type.dtype)
        if found is not None:
            return found
    return interpret(b, body, args)


@example(lambda J, x: J.jax.jit(lambda v: v * 2)(x))
def pjit(b: Builder, *args: Value, **params: Any) -> list[Ref]:
    """A compiled function, as JAX before 0.7 calls it."""
    return jit(b, *args, **params)


@example(lambda J, x: J.jax.nn.relu(x))
@example(lambda J, x: J.jnp.logaddexp(x, 0.0), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jax.nn.softplus(x), rtol=1e-3, atol=1e-3)
def custom_jvp_call(b: Builder, *args: Value, call_jaxpr: Any, **_: Any) -> list[Ref]:
    """A function with its own derivative: its body, or a kernel for one of JAX's."""
    return jit(b, *args, jaxpr=call_jaxpr, name=name_in_jax(call_jaxpr))


def _cube(jax: Any) -> Any:
    """x^3 with a derivative given by hand."""
    cube = jax.custom_vjp(lambda x: x * x * x)
    cube.defvjp(lambda x: (x * x * x, x), lambda x, g: (3 * x * x * g,))
    return cube


@example(lambda J, x: _cube(J.jax)(x))
@example(lambda J, x: J.jax.grad(lambda v: _cube(J.jax)(v).sum())(x))
def custom_vjp_call(b: Builder, *args: Value, call_jaxpr: Any = None, fun_jaxpr: Any = None, **_: Any) -> list[Ref]:
    """A function with its own derivative: its body."""
    return jit(b, *args, jaxpr=call_jaxpr if call_jaxpr is not None else fun_jaxpr)


def custom_vjp_call_jaxpr(b: Builder, *args: Value, **params: Any) -> list[Ref]:
    """A function with its own derivative, as older versions of JAX call it."""
    return custom_vjp_call(b, *args, **params)


@example(lambda J, x: J.jax.grad(J.jax.checkpoint(lambda v: (v * v * v).sum()))(x))
def remat2(b: Builder, *args: Value, jaxpr: Any, **_: Any) -> list[Ref]:
    """A function whose derivative computes it again: its body."""
    return interpret(b, read(jaxpr), args)


def checkpoint(b: Builder, *args: Value, **params: Any) -> list[Ref]:
    """A function whose derivative computes it again, under its other name."""
    return remat2(b, *args, **params)


def closed_call(b: Builder, *args: Value, call_jaxpr: Any, **_: Any) -> list[Ref]:
    """A function: its body."""
    return interpret(b, read(call_jaxpr), args)


# ---- loops ----------------------------------------------------------------------------------------------------------

_CARRIED, _CHOSEN = "what a loop carries", "an operand or a result of a branch"


@example(lambda J, x: J.lax.scan(lambda c, r: (c + r, c * r), J.jnp.zeros(4), x))
@example(lambda J, x: J.lax.fori_loop(0, 5, lambda i, v: v * 0.5 + i, x))
@example(lambda J, x: J.lax.scan(lambda c, r: (c + r, c), 0.0, x, reverse=True)[1], reals(5))
@example(lambda J, x: J.jax.grad(lambda v: J.lax.fori_loop(0, 3, lambda i, a: a * 0.5 + v.sum(), 0.0))(x))
def scan(
    b: Builder, *args: Value, jaxpr: Any, length: int, reverse: bool, num_consts: int, num_carry: int, **_: Any
) -> list[Ref]:
    """A loop of known length: `lax.scan`, and `fori_loop` between static bounds."""
    body = read(jaxpr)
    consts = args[:num_consts]
    given = [b.operand(x) for x in only_reals(b, args[num_consts:], _CARRIED)]
    start, rows = given[:num_carry], given[num_carry:]
    carried = [x.visibility for x in start]
    while True:
        with b.block(hoist=True) as scope:
            carry = [b.parameter(x.type, v) for x, v in zip(start, carried, strict=True)]
            row = [b.parameter(x.type.with_shape(x.type.shape[1:]), x.visibility) for x in rows]
            results = [b.operand(x) for x in only_reals(b, interpret(b, body, [*consts, *carry, *row]), _CARRIED)]
            block, captured = b.close(scope, results)
        joined = [v.join(x.visibility) for v, x in zip(carried, results, strict=False)]
        if joined == carried:
            break
        carried = joined
    stacked = results[num_carry:]
    outs = [(x.type, v) for x, v in zip(start, carried, strict=True)]
    outs += [(x.type.with_shape((length, *x.type.shape)), x.visibility) for x in stacked]
    return b.control(
        "loop", [*captured, *start, *rows], [block], outs,
        length=int(length), consts=len(captured), carries=num_carry, reverse=bool(reverse),
    )  # fmt: skip


@example(
    lambda J, x, n: J.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 0.5), (0, x)),
    reals(3),
    ints(low=1, high=5, public=True),
)
@example(lambda J, x, n: J.lax.fori_loop(0, n, lambda i, v: v + i, x), reals(3), ints(low=1, high=5, public=True))
def while_(
    b: Builder, *args: Value, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int, body_nconsts: int, **_: Any
) -> list[Ref]:
    """A loop with a public condition: `lax.while_loop`, and `fori_loop` between public bounds."""
    test, body = read(cond_jaxpr), read(body_jaxpr)
    first, second = args[:cond_nconsts], args[cond_nconsts : cond_nconsts + body_nconsts]
    start = [b.operand(x) for x in only_reals(b, args[cond_nconsts + body_nconsts :], _CARRIED)]
    carried = [x.visibility for x in start]
    while True:
        block, captured, results = _body(b, body, second, start, carried)
        joined = [v.join(x.visibility) for v, x in zip(carried, results, strict=True)]
        if joined == carried:
            break
        carried = joined
    test_block, test_captured, verdict = _body(b, test, first, start, carried)
    if verdict[0].visibility != PUBLIC:
        raise UnsupportedError(
            "a while loop whose condition is not public",
            wanted="a condition on public values: each round would tell whether it goes on",
            todo="loop a fixed number of times (lax.fori_loop) and choose with jnp.where",
            where=b.where or None,
        )
    outs = [(x.type, v) for x, v in zip(start, carried, strict=True)]
    return b.control(
        "while", [*test_captured, *captured, *start], [test_block, block], outs,
        cond_consts=len(test_captured), body_consts=len(captured),
    )  # fmt: skip


def _body(
    b: Builder, jaxpr: Jaxpr, consts: Sequence[Value], start: Sequence[Ref], carried: Sequence[Visibility]
) -> tuple[Block, list[Ref], list[Ref]]:
    with b.block(hoist=True) as scope:
        carry = [b.parameter(x.type, v) for x, v in zip(start, carried, strict=True)]
        results = [b.operand(x) for x in only_reals(b, interpret(b, jaxpr, [*consts, *carry]), _CARRIED)]
        block, captured = b.close(scope, results)
    return block, captured, results


# ---- branches -------------------------------------------------------------------------------------------------------


@example(lambda J, x: J.lax.cond(x[0] > 0, lambda v: v * 2, lambda v: v - 1, x), reals(3))
@example(
    lambda J, x, n: J.lax.switch(n, [lambda v: v * 2, lambda v: v - 1, lambda v: v.sum() + v], x),
    reals(3),
    ints(low=0, high=3, public=True),
)
@example(lambda J, x, i: J.lax.switch(i, [lambda v: v * 2, lambda v: -v, lambda v: v + 7], x), reals(3), ints())
def cond(b: Builder, index: Ref, *args: Value, branches: Any, **_: Any) -> list[Ref]:
    """Branches: the one that a public value selects, or all of them and a choice."""
    bodies = [read(branch) for branch in branches]
    if index.uniform is not None:
        chosen = min(max(int(index.uniform), 0), len(bodies) - 1)
        return interpret(b, bodies[chosen], args)
    if index.visibility != PUBLIC:
        return _choose(b, index, [only_reals(b, interpret(b, body, args), _CHOSEN) for body in bodies])
    operands = [b.operand(x) for x in only_reals(b, args, _CHOSEN)]
    done: list[tuple[Scope, list[Ref]]] = []
    for body in bodies:
        with b.block(hoist=False) as scope:
            params = [b.parameter(x.type, x.visibility) for x in operands]
            done.append((scope, [b.operand(x) for x in only_reals(b, interpret(b, body, params), _CHOSEN)]))
    return _branch(b, index, operands, done)


def _branch(b: Builder, index: Ref, operands: list[Ref], done: list[tuple[Scope, list[Ref]]]) -> list[Ref]:
    """A cond whose blocks all take the operands and what any of them captures."""
    closed = [b.close(scope, results) for scope, results in done]
    blocks = []
    everything = [x for _, captured in closed for x in captured]
    for at, (block, captured) in enumerate(closed):
        before = sum(len(c) for _, c in closed[:at])
        after = len(everything) - before - len(captured)
        lead = b.spare([x for x in everything[:before]])
        tail = b.spare([x for x in everything[len(everything) - after :]])
        own, rest = block.params[: len(captured)], block.params[len(captured) :]
        blocks.append(Block((*lead, *own, *tail, *rest), block.equations, block.results))
    outs = []
    for parts in zip(*(results for _, results in done), strict=True):
        visibility = PUBLIC
        for x in parts:
            visibility = visibility.join(x.visibility)
        outs.append((parts[0].type, visibility))
    index = b.emit("convert", index, dtype="i32")
    return b.control("cond", [index, *everything, *operands], blocks, outs)


def _choose(b: Builder, index: Ref, results: list[list[Ref]]) -> list[Ref]:
    op, made_from, _ = b.producer(index)
    out = []
    for parts in zip(*results, strict=True):
        if op == "convert" and made_from[0].type.dtype == "bool":
            out.append(_pick(b, made_from[0], parts[-1], parts[0]))
            continue
        chosen = parts[-1]
        for k in range(len(parts) - 2, -1, -1):
            difference = b.emit("sub", index, b.constant(k + 1, index.type))
            below = b.emit("lt", difference, b.constant(0, index.type))
            chosen = _pick(b, below, parts[k], chosen)
        out.append(chosen)
    return out


def _pick(b: Builder, bit: Ref, x: Ref, y: Ref) -> Ref:
    if x is y:
        return x
    shape = x.type.shape
    wide = b.emit("broadcast", bit, shape=shape, dims=()) if shape else bit
    return b.emit("select", wide, x, y)


@example(lambda J, x: J.jnp.diagonal(x), reals(4, 4))
def platform_index(b: Builder, *, platforms: Any, **_: Any) -> Ref:
    """Which branch the platform takes: the one for all platforms."""
    return b.constant(np.array(tuple(platforms).index(None), np.int32))
