"""`argot bench mpc`: one operation of a ciphertext device on secret inputs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.federation import Federation
from ..api.handles import Handle
from ..api.local import local
from ..api.places import MpcDevice, Party
from ..api.reveal import within
from ..errors import InputError, UnknownNameError
from .arguments import addend, value
from .measure import figures, median, names, set_up

Argument = tuple[str, float, float, list[int]]  # kind, low, high, shape


@dataclass(frozen=True)
class Operation:
    """An operation of the benchmark.

    Attributes:
        run: the JAX function.
        exact: the same in float64.
        arguments: sizes to the arguments.
        sizes: how many numbers `--n` has.
    """

    run: Callable[..., Any]
    exact: Callable[..., np.ndarray]
    arguments: Callable[..., list[Argument]]
    sizes: int = 1


def operations() -> dict[str, Operation]:
    """All operations by name."""
    import jax
    import jax.numpy as jnp

    def reals(low: float, high: float, count: int = 1, row: int = 0) -> Callable[[int], list[Argument]]:
        """`count` arguments of n numbers, in rows of `row` if that is given."""

        def arguments(n: int) -> list[Argument]:
            shape = [max(n // row, 1), min(n, row)] if row else [n]
            return [("real", low, high, shape)] * count

        return arguments

    def chain(x: Any, y: Any) -> Any:
        for _ in range(100):
            x = x * y
        return x

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    one, two, positive = reals(-4, 4), reals(-4, 4, 2), reals(0.1, 10)
    return {
        "mul": Operation(lambda x, y: x * y, np.multiply, two),
        "imul": Operation(lambda x, y: x * y, np.multiply, lambda n: [("int", -1000, 1000, [n])] * 2),
        "less": Operation(lambda x, y: x < y, np.less, two),
        "equal": Operation(lambda x, y: x == y, np.equal, lambda n: [("int", -2, 3, [n])] * 2),
        "where": Operation(jnp.where, np.where, lambda n: [("bool", 0, 2, [n]), *two(n)]),
        "relu": Operation(jax.nn.relu, lambda x: np.maximum(x, 0), one),
        "exp": Operation(jnp.exp, np.exp, one),
        "log": Operation(jnp.log, np.log, positive),
        "sigmoid": Operation(jax.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), one),
        "tanh": Operation(jnp.tanh, np.tanh, one),
        "reciprocal": Operation(lambda x: 1.0 / x, np.reciprocal, positive),
        "sqrt": Operation(jnp.sqrt, np.sqrt, positive),
        "rsqrt": Operation(jax.lax.rsqrt, lambda x: 1 / np.sqrt(x), positive),
        "max": Operation(lambda x: jnp.max(x, axis=1), lambda x: x.max(axis=1), reals(-4, 4, row=100)),
        "softmax": Operation(lambda x: jax.nn.softmax(x, axis=1), softmax, reals(-4, 4, row=10)),
        "sort": Operation(jnp.sort, np.sort, one),
        "matmul": Operation(
            jnp.matmul, np.matmul, lambda m, k, n: [("real", -0.5, 0.5, [m, k]), ("real", -0.5, 0.5, [k, n])], sizes=3
        ),
        "chain": Operation(chain, lambda x, y: x * y**100, lambda n: [("real", 1, 2, [n]), ("real", 1.0, 1.006, [n])]),
    }


def bench(
    protocol: str,
    op: str,
    n: str,
    reps: int = 5,
    bounds: str | None = None,
    ring: int = 64,
    rest: float = 0.0,
    agents: Federation | None = None,
) -> dict[str, Any]:
    """Run one operation with as many agents as the protocol needs, one process each, over TLS.

    Args:
        op: a name of `operations`.
        n: number of elements; M,K,N for matmul.
        bounds: a promise about the inputs, "LIMIT" for |x| < LIMIT or "LOW,HIGH"; none by default.
        rest: seconds before each run, in which parties may make correlations ahead.
        agents: those of alice, bob and carol, where the driver acts for alice; by default ones of this machine, started
            for this run.

    Returns:
        op, n, protocol, those of `measure.figures`, max_abs_error, max_rel_error, assumed_range.
    """
    known = operations()
    if op not in known:
        raise UnknownNameError(f"operation {op!r}", wanted=f"one of {', '.join(known)}")
    operation, declared = known[op], _bounds(bounds)
    sizes = _sizes(n, operation.sizes)
    arguments = operation.arguments(*sizes)
    with local(*names(protocol)) if agents is None else nullcontext(agents) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol, ring=ring)
        made = set_up(device)
        secret = [_secret(device, alice, bob, argument, i) for i, argument in enumerate(arguments)]
        run = at(device)(_declared(operation.run, declared) if declared else operation.run)
        measured, result = median(lambda: run(*secret), reps, rest)
        got = np.asarray(federation.reveal(result, to=alice).value(), dtype=np.float64)
    values = [value(*argument, number=i) for i, argument in enumerate(arguments)]
    want = np.asarray(operation.exact(*values), dtype=np.float64)
    error = np.abs(got - want)
    return {
        "op": op,
        "n": sizes[0] if len(sizes) == 1 else sizes,
        "protocol": protocol,
        **figures(measured, made),
        "max_abs_error": float(error.max()),
        "max_rel_error": float((error / np.maximum(np.abs(want), 1e-3)).max()),
        "assumed_range": list(declared) if declared else None,
    }


def _secret(device: MpcDevice, alice: Party, bob: Party, argument: Argument, number: int) -> Handle:
    """An argument that depends on both owners, so that nobody computes on it in the clear."""
    parts = [at(party)(addend)(*argument, number, second) for party, second in ((alice, False), (bob, True))]
    join = (lambda a, b: a ^ b) if argument[0] == "bool" else (lambda a, b: a + b)
    return at(device)(join)(*parts).wait()


def _declared(run: Callable[..., Any], bounds: tuple[float, float]) -> Callable[..., Any]:
    return lambda *args: run(*(within(x, *bounds) for x in args))


def _bounds(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] > 0:
        return -numbers[0], numbers[0]
    if len(numbers) == 2 and numbers[0] < numbers[1]:
        return numbers[0], numbers[1]
    raise InputError(f"--bounds {text}", wanted="LIMIT, or LOW,HIGH")


def _sizes(text: str, count: int) -> list[int]:
    sizes = [int(size) if size.isdecimal() else 0 for size in text.split(",")]
    if len(sizes) != count or min(sizes) < 1:
        raise InputError(f"--n {text}", wanted="M,K,N" if count == 3 else "one positive number")
    return sizes
