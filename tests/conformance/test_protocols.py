"""Every protocol there is, by file name: its results against the reference, its costs against those it declares.

A new file in `argot/mpc` is picked up by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from argot import mpc
from argot.mpc.bits import Bits
from argot.mpc.plain import Plain
from argot.mpc.protocol import RINGS, Arith, Bool, Protocol
from argot.runtime.conformance import Case, check_costs
from argot.runtime.world import Delivery, World

N = 192
PROTOCOLS = [mpc.load(name) for name in mpc.names()]
RING_BITS = [32, 64, 128]


def random_ring(k: int, bits: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Signed values below 2^(bits-1) in absolute value, as a ring array."""
    raw = np.random.default_rng([seed, bits]).bytes(int(np.prod(shape)) * k // 8)
    words = np.frombuffer(raw, RINGS[k]).reshape(shape)
    from argot._core import ring

    return ring.sar(words, k - bits)


async def arith(p: Protocol, bits: int, shape: tuple[int, ...] | None = None, seed: int = 0) -> Arith:
    shape = (N,) if shape is None else shape
    x = random_ring(p.k, bits, shape, seed)
    return await p.share(x if p.party.rank == 0 else None, 0, shape)


async def boolean(p: Protocol, width: int, seed: int = 0) -> Bool:
    b = Bits.from_ring(random_ring(p.k, p.k, (N,), seed), width)
    return await p.share_bits(b if p.party.rank == 0 else None, 0, b.shape, width)


def cases(bound: int, d: int, width: int) -> dict[str, Any]:
    """A case for each operation of the interface; protocols declare costs for those that send."""

    async def share(p: Any) -> Case:
        x = random_ring(p.k, p.k, (N,), 1)
        return Case((x if p.party.rank == 1 % p.parties else None, 1 % p.parties, (N,)), N)

    async def share_bits(p: Any) -> Case:
        b = Bits.from_ring(random_ring(p.k, p.k, (N,), 1), width)
        last = p.parties - 1
        return Case((b if p.party.rank == last else None, last, (N,), width), N, variables={"w": width})

    async def reveal_to(p: Any) -> Case:
        return Case((await arith(p, p.k), [0, p.parties - 1]), N, variables={"ranks": len({0, p.parties - 1})})

    async def reveal_bits_to(p: Any) -> Case:
        ranks = range(p.parties)
        return Case((await boolean(p, width), ranks), N, variables={"ranks": p.parties, "w": width})

    async def two(p: Any) -> Case:
        return Case((await arith(p, p.k), await arith(p, p.k, seed=1)), N)

    async def one(p: Any) -> Case:
        return Case((await arith(p, p.k),), N)

    def matrices(fused: bool) -> Any:
        async def case(p: Any) -> Case:
            x = await arith(p, p.k // 2 - 4, (8, 5))
            y = await arith(p, p.k // 2 - 4, (5, N // 8), seed=1)
            return Case((x, y, d) if fused else (x, y), N, variables={"d": d})

        return case

    def shortened(operands: int) -> Any:
        async def case(p: Any) -> Case:
            bits = p.k - 2 if operands == 0 else p.k // 2 - 2
            shares = [await arith(p, bits, seed=i) for i in range(max(operands, 1))]
            return Case((*shares, d), N, variables={"d": d})

        return case

    async def and_(p: Any) -> Case:
        return Case((await boolean(p, width), await boolean(p, width, 1)), N, variables={"w": width})

    async def msb(p: Any) -> Case:
        return Case((await arith(p, bound), bound), N, variables={"l": bound})

    async def equal(p: Any) -> Case:
        return Case((await arith(p, bound), await arith(p, bound - 1, seed=1), bound), N, variables={"l": bound})

    async def a2b(p: Any) -> Case:
        return Case((await arith(p, p.k), width), N, variables={"w": width})

    async def b2a(p: Any) -> Case:
        return Case((await boolean(p, width),), N, variables={"w": width})

    async def mul_bit(p: Any) -> Case:
        return Case((await boolean(p, 1), await arith(p, p.k)), N)

    async def cross_product(p: Any) -> Case:
        first, second = p.addends(await arith(p, p.k))
        left = None if first is None else [first] * 3
        right = None if second is None else [second] * 3
        return Case((left, right, 3, (N,)), N, variables={"terms": 3})

    async def split(p: Any) -> Case:
        first, _ = p.addends(await arith(p, p.k))
        return Case((first, (N,)), N)

    async def join(p: Any) -> Case:
        _, second = p.addends(await arith(p, p.k))
        return Case((second, (N,)), N)

    return {
        "share": share,
        "share_bits": share_bits,
        "reveal_to": reveal_to,
        "reveal_bits_to": reveal_bits_to,
        "mul": two,
        "square": one,
        "matmul": matrices(False),
        "matmul_trunc": matrices(True),
        "trunc": shortened(0),
        "square_trunc": shortened(1),
        "mul_trunc": shortened(2),
        "and_": and_,
        "msb": msb,
        "equal": equal,
        "a2b": a2b,
        "b2a": b2a,
        "mul_bit": mul_bit,
        "cross_product": cross_product,
        "split": split,
        "join": join,
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("k", RING_BITS)
@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_declared_costs_are_what_is_measured(protocol, k, size):
    bound = (k, k // 2, 12, 5)[size]
    d = (k // 4 + 2, 1, 0, k // 2)[size]
    width = (k, k // 2 + 5, 10, 1)[size]
    check_costs(lambda party: protocol(party, ring=k), cases(bound, d, width), parties=protocol.parties)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_declared_costs_of_large_arrays(protocol, monkeypatch):
    """Above sizes at which operations take another form or run in parts."""
    monkeypatch.setitem(globals(), "N", (1 << 17) + 64)
    check_costs(protocol, cases(30, 18, 20), parties=protocol.parties)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("k", RING_BITS)
def test_results_are_those_of_the_reference(protocol, k):
    """Every case on the same inputs; truncated results may be one apart either way."""
    for bound, d, width in ((k, k // 4 + 2, k), (k // 2, 3, 9)):
        for name, case in cases(bound, d, width).items():
            if name in ("cross_product", "split", "join"):  # their values depend on how the input is shared
                continue
            got = results(World(lambda party: protocol(party, ring=k), n=protocol.parties), name, case)
            want = results(World(lambda party: Plain(party, ring=k), n=1), name, case)
            apart = 1 if name.endswith("trunc") and d else 0
            assert (np.abs(got - want) <= apart).all(), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_results_do_not_depend_on_the_network(protocol):
    for name, case in cases(40, 18, 20).items():
        if name == "split" or not hasattr(protocol, name):  # gives no share, or not every protocol has it
            continue
        steady = results(World(protocol, n=protocol.parties, seed=2), name, case)
        for seed in range(2):
            behaviour = Delivery()
            shaken = results(World(protocol, n=protocol.parties, seed=2, delivery=behaviour), name, case)
            assert (steady == shaken).all(), (name, seed)


def results(world: World, name: str, case: Any) -> np.ndarray:
    """The result of one case as an array of Python integers, revealed to all."""

    async def program(p: Any) -> Any:
        made = await case(p)
        result = await getattr(p, name)(*made.args)
        if isinstance(result, Arith):
            return await p.reveal_to(result, range(p.parties))
        if isinstance(result, Bool):
            return await p.reveal_bits_to(result, range(p.parties))
        return result

    found = next(value for value in world.run(program) if value is not None)
    if isinstance(found, Bits):
        found = found.to_ring(RINGS[world.protocols[0].k])
    return signed(found)


def signed(words: np.ndarray) -> np.ndarray:
    from argot._core import ring

    wide = ring.cast(words, ring.Z128, signed=True)
    return np.array([int(w["lo"]) + (int(w["hi"].astype(np.int64)) << 64) for w in wide.reshape(-1)], object)
