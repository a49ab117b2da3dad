"""Every protocol there is, by file name: its results against the reference, its costs against those it declares.

A new file in `argot/mpc` is picked up by itself.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from forms import is_alone, is_slow

from argot import mpc
from argot.errors import ProgramError
from argot.mpc import derived
from argot.mpc import transfer_costs as costs
from argot.mpc.bits import Bits
from argot.mpc.cheetah import Cheetah
from argot.mpc.convolution import Convolution
from argot.mpc.few import few
from argot.mpc.plain import Plain
from argot.mpc.protocol import RINGS, Arith, Bool, Protocol, index_bits
from argot.runtime import cost
from argot.runtime.conformance import Case, check_costs, operations_of
from argot.runtime.link import Link
from argot.runtime.world import Delivery, World

N = 192
PROTOCOLS = [
    pytest.param(form, marks=[pytest.mark.slow] if is_alone(form) and is_slow(form) else []) for form in mpc.forms()
]
LARGE = [pytest.param(form, marks=[pytest.mark.slow] if is_alone(form) else []) for form in mpc.forms()]
"""Forms for tests of large arrays."""
RING_BITS = [32, 64, 128]
ORDERS = ["shuffle", "order", "take", "place"]
RANDOM = ["cross_product", "split", "join", "shuffle"]  # or their results depend on how the input is shared


def has(protocol: Any, name: str) -> bool:
    """Whether a protocol has an operation that others may lack."""
    if name in ORDERS:
        return bool(protocol.has_order)
    return hasattr(protocol, name) and (name != "cross_product" or bool(protocol.has_addends))


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


def computing(p: Protocol) -> int:
    """How many parties compute: a dealer does not."""
    return p.variables.get("members", p.parties)


def told(p: Protocol, ranks: Any) -> int:
    """Messages that tell each of `ranks` what each computing party has."""
    return sum(computing(p) - (rank < computing(p)) for rank in ranks)


def cases(bound: int, d: int, width: int) -> dict[str, Any]:
    """A case for each operation of the interface."""

    async def share(p: Any) -> Case:
        x = random_ring(p.k, p.k, (N,), 1)
        return Case((x if p.party.rank == 1 % p.parties else None, 1 % p.parties, (N,)), N, variables={"outside": 0})

    async def share_bits(p: Any) -> Case:
        b = Bits.from_ring(random_ring(p.k, p.k, (N,), 1), width)
        last = p.parties - 1
        outside = int(last >= computing(p))
        return Case(
            (b if p.party.rank == last else None, last, (N,), width), N, variables={"w": width, "outside": outside}
        )

    async def reveal_to(p: Any) -> Case:
        ranks = {0, p.parties - 1}
        return Case((await arith(p, p.k), ranks), N, variables={"ranks": len(ranks), "told": told(p, ranks)})

    async def reveal_bits_to(p: Any) -> Case:
        ranks = range(p.parties)
        variables = {"ranks": p.parties, "w": width, "told": told(p, ranks)}
        return Case((await boolean(p, width), ranks), N, variables=variables)

    async def two(p: Any) -> Case:
        return Case((await arith(p, p.k), await arith(p, p.k, seed=1)), N)

    async def one(p: Any) -> Case:
        return Case((await arith(p, p.k),), N)

    def matrices(fused: bool, rows: int = 8) -> Any:
        async def case(p: Any) -> Case:
            x = await arith(p, p.k // 2 - 4, (rows, 5))
            y = await arith(p, p.k // 2 - 4, (5, N // rows), seed=1)
            variables = {"d": d, "large": int(rows >= 8), "left": x.size, "right": y.size}
            return Case((x, y, d) if fused else (x, y), N, variables=variables)

        return case

    def convolved(fused: bool, thin: bool = False) -> Any:
        """Few products, patches and images occur, by k and N."""

        async def case(p: Any) -> Case:
            if thin:
                sizes = Convolution(2, 1, 5, N // 2 + 1, 1, 2, 3, 2)
            else:
                sizes = Convolution(1, 4 + 4608 // N, 3, N // 8 + 4, 8, 3, 5, 1)
            x = await arith(p, p.k // 2 - 4, sizes[:4])
            w = await arith(p, p.k // 2 - 4, (sizes.kernels, sizes.channels, sizes.tall, sizes.wide), seed=1)
            assert sizes == Convolution.of(x.shape, w.shape, sizes.stride)
            variables = {"d": d, "large": int(min(sizes.matrices[::2]) >= 8), **sizes._asdict()}
            args = (x, w, sizes.stride, d) if fused else (x, w, sizes.stride)
            return Case(args, N, variables=variables)

        return case

    def shortened(operands: int) -> Any:
        async def case(p: Any) -> Case:
            bits = p.k - 2 if operands == 0 else p.k // 2 - 2
            shares = [await arith(p, bits, seed=i) for i in range(max(operands, 1))]
            return Case((*shares, d), N, variables={"d": d})

        return case

    async def mul_public_trunc(p: Any) -> Case:
        return Case((await arith(p, p.k - 4), 3, d), N, variables={"d": d})

    async def and_(p: Any) -> Case:
        return Case((await boolean(p, width), await boolean(p, width, 1)), N, variables={"w": width})

    async def ands(p: Any) -> Case:
        others = [await boolean(p, w, w) for w in (width, (width + 1) // 2)]
        variables = {"w": width, "others": sum(b.width for b in others)}
        return Case((await boolean(p, width), others), N, variables=variables)

    async def msb(p: Any) -> Case:
        return Case((await arith(p, bound), bound), N, variables={"l": bound})

    async def equal(p: Any) -> Case:
        return Case((await arith(p, bound), await arith(p, bound - 1, seed=1), bound), N, variables={"l": bound})

    async def less_than(p: Any) -> Case:
        pair = await arith(p, bound - 1), await arith(p, bound - 1, seed=1)
        return Case((*pair, bound), N, variables={"l": bound})

    async def a2b(p: Any) -> Case:
        return Case((await arith(p, p.k), width), N, variables={"w": width})

    async def b2a(p: Any) -> Case:
        return Case((await boolean(p, width),), N, variables={"w": width})

    async def mul_bit(p: Any) -> Case:
        return Case((await boolean(p, 1), await arith(p, p.k)), N)

    async def select(p: Any) -> Case:
        return Case((await boolean(p, 1), await arith(p, p.k), await arith(p, p.k, seed=1)), N)

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

    async def columns(p: Any) -> list[Any]:
        return [await arith(p, p.k), await boolean(p, width)]

    async def permutation(p: Any) -> Bool:
        index = np.random.default_rng(5).permutation(N).astype(np.uint64)
        words = Bits.from_ring(index, index_bits(N))
        return await p.share_bits(words if p.party.rank == 0 else None, 0, (N,), words.width)

    async def shuffle(p: Any) -> Case:
        return Case((await columns(p),), N, variables={"w": p.k + width})

    async def moved(p: Any) -> Case:
        return Case((await columns(p), await permutation(p)), N, variables={"w": p.k + width})

    async def order(p: Any) -> Case:
        return Case((await boolean(p, width),), N, variables={"w": width})

    return {
        "shuffle": shuffle,
        "take": moved,
        "place": moved,
        "order": order,
        "share": share,
        "share_bits": share_bits,
        "reveal_to": reveal_to,
        "reveal_bits_to": reveal_bits_to,
        "mul": two,
        "square": one,
        "matmul": matrices(False),
        "matmul_trunc": matrices(True, rows=2 if d % 2 else 8),  # thin ones may have a form of their own
        "convolve": convolved(False, thin=bool(d % 2)),
        "convolve_trunc": convolved(True, thin=not d % 2),
        "trunc": shortened(0),
        "square_trunc": shortened(1),
        "mul_trunc": shortened(2),
        "mul_public_trunc": mul_public_trunc,
        "and_": and_,
        "ands": ands,
        "or_": and_,
        "msb": msb,
        "less_than": less_than,
        "equal": equal,
        "a2b": a2b,
        "b2a": b2a,
        "mul_bit": mul_bit,
        "select": select,
        "cross_product": cross_product,
        "split": split,
        "join": join,
    }


ELEMENTARY = ("exp", "log", "sigmoid", "tanh", "erf", "sin", "cos", "reciprocal", "divide", "sqrt", "rsqrt")


def function_cases(bound: int, width: int, rows: int, low: float | None, high: float | None) -> dict[str, Any]:
    """A case for each function of `derived`, and for each part of them that is public."""

    async def one(p: Any) -> Case:
        return Case((await arith(p, bound), bound), N, variables={"l": bound})

    async def exp(p: Any) -> Case:
        limits = {name: value for name, value in (("low", low), ("high", high)) if value is not None}
        return Case((await arith(p, bound), bound), N, kwargs=limits, variables={"l": bound} | limits)

    async def divide(p: Any) -> Case:
        bound_x = {"bound_x": bound + 1} if bound < p.k - p.fraction_bits - 2 else {}
        shares = await arith(p, bound), await arith(p, bound, seed=1)
        return Case((*shares, bound), N, kwargs=bound_x, variables={"l": bound, **bound_x})

    async def two(p: Any) -> Case:
        pair = await arith(p, bound - 1), await arith(p, bound - 1, seed=1)
        return Case((*pair, bound), N, variables={"l": bound})

    async def column(p: Any) -> Case:
        return Case((await arith(p, bound - 1, (rows, N)), 0, bound), N, variables={"l": bound, "m": rows})

    async def clamp(p: Any) -> Case:
        return Case((await arith(p, bound - 1), p.constant(-1), p.constant(1), bound), N, variables={"l": bound})

    async def leading_one(p: Any) -> Case:
        return Case((await boolean(p, width),), N, variables={"w": width})

    async def shifted(p: Any) -> Case:
        word, distance, fill = await boolean(p, width), await boolean(p, width), await boolean(p, 1)
        return Case((word, distance, False, fill), N, variables={"w": width, "v": width})

    async def ones(p: Any) -> Case:
        return Case((await boolean(p, width),), N, variables={"w": width})

    async def two_to_the(p: Any) -> Case:
        w = min(width, p.k.bit_length() - 1)  # of an exponent below k
        return Case((await boolean(p, w),), N, variables={"w": w})

    async def normalised(p: Any) -> Case:
        return Case((await arith(p, bound), bound, p.k // 4), N, variables={"l": bound, "q": p.k // 4})

    async def polynomial(p: Any) -> Case:
        q = p.k // 4
        return Case((await arith(p, q), (0.5, -0.25, 0.125, 0.0625), q), N, variables={"q": q, "terms": 4})

    async def mirrored(p: Any) -> Case:
        return Case((await arith(p, p.k), await boolean(p, 1)), N)

    return {
        "mirrored": mirrored,
        **dict.fromkeys(ELEMENTARY, one),
        "exp": exp,
        "divide": divide,
        "maximum": two,
        "minimum": two,
        **dict.fromkeys(("max", "min", "argmax", "argmin"), column),
        "abs": one,
        "sign": one,
        "clamp": clamp,
        "leading_one": leading_one,
        "shifted": shifted,
        "ones": ones,
        "two_to_the": two_to_the,
        "normalised": normalised,
        "polynomial": polynomial,
    }


def general_functions() -> dict[str, Any]:
    """All of `derived`; those that a protocol may replace in their general form."""
    modules = (import_module(f"{derived.__name__}.{m.name}") for m in pkgutil.iter_modules(derived.__path__))
    return {f"general {name}": f for module in modules for name, f in operations_of(module).items()}


def check_all(
    protocol: Any, k: int, bound: int, d: int, width: int, rows: int, limits: Any = (None, None), link: Any = None
) -> Any:
    functions = function_cases(bound, width, rows, *limits)
    general = {f"general {name}": case for name, case in functions.items()}
    every = {**cases(bound, d, width), **functions, **general}
    return check_costs(
        lambda party: protocol(party, ring=k, link=link), every, general_functions(), parties=protocol.parties
    )


SIZES: dict[str, Any] = {
    "no bound": lambda k: (k, k // 4 + 2, k, 3),
    "half the ring": lambda k: (k // 2, 1, k // 2 + 5, 5, (None, 0.0)),
    "more than half": lambda k: (k // 2 + 7, 3, 17, 2, (-3.0, None)),
    "promised to be small": lambda k: (k, 2, 7, 7, (-1.5, 2.0)),
    "small": lambda k: (12, 0, 10, 4),
    "tiny": lambda k: (5, k // 2, 1, 1),
}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
@pytest.mark.parametrize("k", RING_BITS)
@pytest.mark.parametrize("size", SIZES)
def test_declared_costs_are_what_is_measured(protocol, k, size):
    measured = {m.name for m in check_all(protocol, k, *SIZES[size](k))}
    assert {"less_than", "select", "or_", "mul_public_trunc", "general exp", "general argmax"} < measured


@pytest.mark.parametrize("protocol", LARGE, ids=repr)
def test_declared_costs_of_large_arrays(protocol, monkeypatch):
    """Above sizes at which operations take another form or run in parts."""
    monkeypatch.setitem(globals(), "N", (1 << 17) + 64)
    check_all(protocol, 64, 30, 18, 20, 3)


def test_declared_costs_of_long_signs(monkeypatch):
    """Of all that compares, where signs are made bit by bit."""
    monkeypatch.setattr(costs, "LONG", 1)
    check_all(Cheetah, 64, 30, 18, 20, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
@pytest.mark.parametrize("link", [Link(1.0, 0.0), Link(1e12, 1.0)], ids=["bytes count", "rounds count"])
@pytest.mark.parametrize("n", [2**10, 2**10 + 64])
def test_declared_costs_hold_whatever_the_link(protocol, link, n, monkeypatch):
    """On both sides of what the first calls few, and far below what the second does."""
    assert few(link, 18) in (2**10, 2**22)
    monkeypatch.setitem(globals(), "N", n)
    check_all(protocol, 64, 30, 18, 20, 4, link=link)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
@pytest.mark.parametrize("n", [1025, 1 << 13, (1 << 13) + 1, 5 * (1 << 13) + 100, (1 << 16) + 5000])
def test_declared_costs_of_products_hold_at_the_edges_of_ciphertexts(protocol, n, monkeypatch):
    """And of parts: one ciphertext, one for each of two parties, one more, a last part of one."""
    monkeypatch.setitem(globals(), "N", n)
    every = cases(30, 18, 20)
    check_costs(lambda party: protocol(party), every, parties=protocol.parties, only=["mul", "square"])


@pytest.mark.parametrize("name", ELEMENTARY)
def test_a_protocol_declares_its_own_functions(name):
    """Else the costs of the general ones would be taken for theirs."""
    for protocol in mpc.forms():
        assert not hasattr(protocol, name) or name in operations_of(protocol.kind)


def test_an_operation_without_a_cost_is_an_error():
    class More(Plain):
        async def cube(self, x):
            return await self.mul(await self.mul(x, x), x)

    with pytest.raises(ProgramError, match="cube of More declare no cost"):
        check_all(More, 64, 30, 18, 20, 3)

    More.cube = cost("mul() + mul()")(More.cube)
    with pytest.raises(ProgramError, match="no cost case for cube"):
        check_all(More, 64, 30, 18, 20, 3)


def test_a_function_without_a_cost_is_an_error(monkeypatch):
    async def cube(p, x):
        return await p.mul(await p.mul(x, x), x)

    module = ModuleType("argot.mpc.derived.cubes")
    module.cube, cube.__module__ = cube, module.__name__
    with pytest.raises(ProgramError, match=r"cube of argot.mpc.derived.cubes declare no cost"):
        operations_of(module)
    monkeypatch.setattr(derived.compare, "cube", cube, raising=False)
    monkeypatch.setattr(cube, "__module__", derived.compare.__name__)
    with pytest.raises(ProgramError, match=r"cube of argot.mpc.derived.compare declare no cost"):
        general_functions()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
@pytest.mark.parametrize("k", RING_BITS)
def test_results_are_those_of_the_reference(protocol, k):
    """Every case on the same inputs; truncated results may be one apart either way."""
    for bound, d, width in ((k, k // 4 + 2, k), (k // 2, 3, 9)):
        for name, case in cases(bound, d, width).items():
            if name in RANDOM or not has(protocol, name) or not hasattr(Plain, name):
                continue
            got = results(World(lambda party: protocol(party, ring=k), n=protocol.parties), name, case)
            want = results(World(lambda party: Plain(party, ring=k), n=1), name, case)
            apart = 1 if name.endswith("trunc") and d else 0
            assert (np.abs(got - want) <= apart).all(), name


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=repr)
def test_results_do_not_depend_on_the_network(protocol):
    for name, case in cases(40, 18, 20).items():
        if name in ("split", "shuffle") or not has(protocol, name):  # no share, or random
            continue
        steady = results(World(protocol, n=protocol.parties, seed=2), name, case)
        for seed in range(2):
            behaviour = Delivery()
            shaken = results(World(protocol, n=protocol.parties, seed=2, delivery=behaviour), name, case)
            apart = 0 if protocol.repeats or not name.endswith("trunc") else 1
            assert (np.abs(steady - shaken) <= apart).all(), (name, seed)


def results(world: World, name: str, case: Any) -> np.ndarray:
    """The result of one case as an array of Python integers, revealed to all."""

    async def program(p: Any) -> Any:
        made = await case(p)
        result = await getattr(p, name)(*made.args)
        return [await opened(p, value) for value in (result if isinstance(result, list) else [result])]

    found = next(values for values in world.run(program) if values[0] is not None)
    dtype = RINGS[world.protocols[0].k]
    return np.concatenate([signed(v.to_ring(dtype) if isinstance(v, Bits) else v) for v in found])


async def opened(p: Any, value: Any) -> Any:
    if isinstance(value, Arith):
        return await p.reveal_to(value, range(p.parties))
    if isinstance(value, Bool):
        return await p.reveal_bits_to(value, range(p.parties))
    return value


def signed(words: np.ndarray) -> np.ndarray:
    from argot._core import ring

    wide = ring.cast(words, ring.Z128, signed=True)
    return np.array([int(w["lo"]) + (int(w["hi"].astype(np.int64)) << 64) for w in wide.reshape(-1)], object)
