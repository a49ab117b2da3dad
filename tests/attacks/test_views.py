"""What one curious party sees: for fixed inputs every message is uniform, and so is every difference of two.

The world hands every packet to an interceptor, which plays the curious party. Draws come from seeds, so every test
gives the same result each time; thresholds are at about one in ten million.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from struct import unpack_from
from typing import Any

import numpy as np
import pytest
from forms import is_alone, is_slow

from argot import mpc
from argot.mpc.aby3 import Aby3
from argot.mpc.bits import Bits
from argot.mpc.protocol import RINGS
from argot.runtime.world import World

N = 64 * 200
HEADER = 32
ENOUGH = 1280
"""Bytes that can be judged: the last part of a large array has fewer, and is like the others."""


class Listener:
    """Keeps the payloads that each party receives, in order, without heads, which say where correlations start."""

    def __init__(self, world: World | None = None) -> None:
        self.heads = {} if world is None else world.heads
        self.heard: dict[int, list[np.ndarray]] = defaultdict(list)

    def __call__(self, sender: int, receiver: int, packet: bytes) -> list[bytes]:
        offset = 0
        packet = bytes(packet)
        while offset < len(packet):
            (size,) = unpack_from("<Q", packet, offset + 24)
            head = self.heads.get((sender, receiver, packet[offset : offset + 20]), 0)
            if size - head >= ENOUGH:
                payload = np.frombuffer(packet, np.uint8, size - head, offset + HEADER + head)
                self.heard[receiver].append(payload)
            offset += HEADER + size + (-size & 7)
        return [packet]


def assert_uniform(sample: np.ndarray, what: object) -> None:
    """Chi-square over the values of bytes, about normal with 255 degrees of freedom."""
    counts = np.bincount(sample, minlength=256)
    expected = sample.size / 256
    assert expected >= 5, f"{what}: {sample.size} bytes are too few to judge"
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert abs(statistic - 255) < 6.5 * np.sqrt(2 * 255), f"{what}: chi-square {statistic:.0f} over 255"


def constant(value: int, k: int = 64) -> np.ndarray:
    return np.full(N, value % 2**k, RINGS[k])


def bits(value: int, width: int) -> Bits:
    return Bits.from_ring(constant(value), width)


async def _cross(p, x):
    first, second = p.addends(x)
    return await p.cross_product(
        None if first is None else [first, first], None if second is None else [second, second], 2, x.shape
    )


def _kernels(y):
    return y.map(lambda part: part[:576].reshape((8, 8, 3, 3)))


# What is computed on shares of numbers x, y and of words b, c, all the same in every element.
OPERATIONS = {
    "mul": lambda p, x, y, b, c: p.mul(x, y),
    "square": lambda p, x, y, b, c: p.square(x),
    "matmul": lambda p, x, y, b, c: p.matmul(x.reshape((100, N // 100)), y.reshape((N // 100, 100))),
    "convolve": lambda p, x, y, b, c: p.convolve(x.reshape((1, 8, 40, 40)), _kernels(y), 1),
    "trunc": lambda p, x, y, b, c: p.trunc(x, 18),
    "mul_trunc": lambda p, x, y, b, c: p.mul_trunc(x, y, 18),
    "square_trunc": lambda p, x, y, b, c: p.square_trunc(x, 18),
    "matmul_trunc": lambda p, x, y, b, c: p.matmul_trunc(x.reshape((128, N // 128)), y.reshape((N // 128, 128)), 18),
    "mul_trunc, fewer bytes": lambda p, x, y, b, c: p._dealt(p._cross(x, y), 18),
    "and_": lambda p, x, y, b, c: p.and_(b, c),
    "msb": lambda p, x, y, b, c: p.msb(x),
    "msb by keys": lambda p, x, y, b, c: p._sign_by_keys(x, 24),
    "msb bounded": lambda p, x, y, b, c: p.msb(x, 30),
    "a2b": lambda p, x, y, b, c: p.a2b(x),
    "equal": lambda p, x, y, b, c: p.equal(x, y),
    "b2a": lambda p, x, y, b, c: p.b2a(b),
    "mul_bit": lambda p, x, y, b, c: p.mul_bit(b.bits_at(0, 1), x),
    "cross_product": lambda p, x, y, b, c: _cross(p, x),
    "shuffle": lambda p, x, y, b, c: _shuffled(p, x, b),
    "place": lambda p, x, y, b, c: _placed(p, x),
    "order": lambda p, x, y, b, c: p.order(b),
}

ABY3, *OTHERS = [form for form in mpc.forms() if form.parties > 1]
OWN = ("mul_trunc, fewer bytes", "cross_product")
"""Only in ABY3."""
OF_TWO = ("msb by keys",)
"""Only in Semi2k, of two parties and a dealer."""


def has(form: Any, name: str) -> bool:
    if name in OF_TWO:
        return form.dealer and form.parties == 3
    return form is ABY3 or name not in OWN


MARKS: list[Any] = [[], [pytest.mark.slow]]
CASES = [
    pytest.param(
        name, form, id=f"{name}-{form!r}", marks=[pytest.mark.slow] if is_alone(form) and is_slow(form) else []
    )
    for form in (ABY3, *OTHERS)
    for name in OPERATIONS
    if has(form, name)
]

OPENED = {("place", 0), ("order", 0)}
"""Operations in which a party receives nothing but opened places: uniform permutations, not uniform words."""


def listened(name: str, listener: Listener) -> dict[int, list[np.ndarray]]:
    """What should be noise."""
    return {party: messages for party, messages in listener.heard.items() if (name, party) not in OPENED}


async def _placed(p, x):
    index = np.random.default_rng(1).permutation(N).astype(np.uint64)
    places = await p.share_bits(Bits.from_ring(index, 14) if p.party.rank == 0 else None, 0, (N,), 14)
    return (await p.place([x], places))[0]


async def _shuffled(p, x, b):
    return (await p.shuffle([x, b]))[0]


async def shared(p, x: int, y: int):
    """Shares of constants, each from an owner of its own."""
    rank, third = p.party.rank, min(2, p.parties - 1)
    a = await p.share(constant(x) if rank == 0 else None, 0, (N,))
    b = await p.share(constant(y) if rank == 1 else None, 1, (N,))
    c = await p.share_bits(bits(x, 16) if rank == third else None, third, (N,), 16)
    d = await p.share_bits(bits(y, 16) if rank == 1 else None, 1, (N,), 16)
    return a, b, c, d


def listen(
    name: str, form: Any, x: int = 3, y: int = 0, seed: int = 0, runs: tuple[tuple[int, int], ...] = ()
) -> list[Listener]:
    """What is heard during an operation, sharing of its inputs included; one listener for each of `runs`."""
    world = World(form, n=form.parties, seed=seed)
    listeners = []
    for inputs in runs or ((x, y),):
        world.intercept = listener = Listener(world)
        listeners.append(listener)

        async def program(p, inputs=inputs):
            await OPERATIONS[name](p, *await shared(p, *inputs))

        world.run(program)
    return listeners


@pytest.mark.parametrize(("name", "form"), CASES)
def test_every_message_is_uniform_and_so_is_every_difference_of_two(name, form):
    (listener,) = listen(name, form)
    for receiver, messages in listened(name, listener).items():
        for i, message in enumerate(messages):
            assert_uniform(message, (name, "to", receiver, "message", i))
        for (i, one), (j, other) in combinations(enumerate(messages), 2):
            n = min(one.size, other.size)
            assert_uniform(one[:n] ^ other[:n], (name, "to", receiver, "messages", i, "and", j))
            if n % 8 == 0:
                gap = one[:n].view(np.uint64) - other[:n].view(np.uint64)
                assert_uniform(gap.view(np.uint8), (name, "to", receiver, "difference", i, j))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_rows_within_a_message_are_independent(name, form):
    """Bit planes travel side by side: a mask used for two planes would show in their difference."""
    (listener,) = listen(name, form)
    for receiver, messages in listened(name, listener).items():
        for message in messages:
            rows = message.size * 8 // N
            if message.size * 8 % N or rows < 2:
                continue
            planes = message.reshape(rows, -1)
            for step in range(1, min(rows, 80)):
                assert_uniform((planes[step:] ^ planes[:-step]).reshape(-1), (name, receiver, step))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_running_again_on_x_plus_one_shows_no_known_difference(name, form):
    first, second = listen(name, form, runs=((3, 5), (4, 5)))
    for receiver in listened(name, first):
        for i, (one, other) in enumerate(zip(first.heard[receiver], second.heard[receiver], strict=True)):
            assert_uniform(one ^ other, (name, receiver, i))
            if one.size % 8 == 0:
                gap = one.view(np.uint64) - other.view(np.uint64)
                assert_uniform(gap.view(np.uint8), (name, receiver, i, "difference"))
                assert np.unique(gap).size > 1 or gap.size == 1


def test_running_again_on_the_same_input_repeats_nothing():
    first, second = listen("mul_trunc", ABY3, runs=((3, 5), (3, 5)))
    for receiver in first.heard:
        for one, other in zip(first.heard[receiver], second.heard[receiver], strict=True):
            assert_uniform(one ^ other, receiver)


@pytest.mark.parametrize(("name", "form"), CASES)
def test_messages_do_not_depend_on_the_inputs(name, form):
    """The distribution of every byte is the same for inputs as far apart as can be."""
    low, high = (
        [listen(name, form, x=x, y=y, seed=s)[0] for s in seeds]
        for x, y, seeds in ((0, 0, (5, 6)), (2**20 - 1, -(2**20), (7, 8)))
    )
    for receiver in low[0].heard:
        samples = []
        for group in (low, high):
            samples.append(np.concatenate([m for listener in group for m in listener.heard[receiver]]))
        counts = np.array([np.bincount(sample, minlength=256) for sample in samples], float)
        total = counts.sum(0)
        expected = total * (counts.sum(1) / counts.sum())[:, None]
        statistic = float(((counts - expected) ** 2 / expected).sum())
        assert abs(statistic - 255) < 6.5 * np.sqrt(2 * 255), (name, receiver)


@pytest.mark.parametrize("name", ["msb", "equal", "a2b", "trunc", "b2a", "mul_bit", "cross_product"])
def test_party_0_receives_nothing_in_operations_on_the_addends(name):
    """After the inputs are shared (it receives one share of a number and one of bits)."""
    (listener,) = listen(name, ABY3)
    before = Listener()

    async def only_inputs(p):
        await shared(p, 3, 0)

    World(Aby3, intercept=before).run(only_inputs)
    assert len(listener.heard[0]) == len(before.heard[0])


@pytest.mark.parametrize("name", [name for name in OPERATIONS if has(ABY3, name)])
def test_shares_that_come_out_are_fresh(name):
    """The two parts that a party holds are uniform for fixed inputs, apart from what the operation leaves open:
    shifting keeps part 2 of a truncation below 2^(k-d), up to the wrap."""

    async def program(p):
        return (await OPERATIONS[name](p, *await shared(p, 3, 5))).parts

    for rank, parts in enumerate(World(Aby3, seed=4).run(program)):
        for i, part in enumerate(parts):
            data = np.ascontiguousarray(part.planes if isinstance(part, Bits) else part).reshape(-1).view(np.uint8)
            if name.endswith("trunc") and (rank, i) in ((1, 1), (2, 0)):
                data = data.reshape(-1, 8)[:, :5].reshape(-1)
            if data.size >= 5 * 256:
                assert_uniform(data, (name, rank, i))
        both = [np.ascontiguousarray(p.planes if isinstance(p, Bits) else p).reshape(-1) for p in parts]
        gap = (both[0] ^ both[1]).view(np.uint8)
        if not name.endswith("trunc") and gap.size >= 5 * 256:
            assert_uniform(gap, (name, rank, "both"))


@pytest.mark.parametrize("n", [1, 7, 63, 65, 100])
def test_pad_bits_of_opened_words_are_zero(n):
    x = np.arange(n, dtype=np.uint64)

    async def program(p):
        a = await p.share(x if p.party.rank == 0 else None, 0, (n,))
        b = await p.share_bits(Bits.from_ring(x, 7) if p.party.rank == 1 else None, 1, (n,), 7)
        opened = [
            await p.a2b(a, 9),
            await p.msb(a, 20),
            await p.equal(a, a),
            await p.and_(b, b),
            p.not_(b),
            p.xor(b, b),
        ]
        return [[part.planes for part in result.parts] for result in opened]

    pad = np.uint64(0) if n % 64 == 0 else ~np.uint64(2 ** (n % 64) - 1)
    for results in World(Aby3, seed=1).run(program):
        for parts in results:
            for planes in parts:
                assert not (planes[:, -1] & pad).any()


def test_the_error_of_a_truncation_is_that_of_the_stated_functionality():
    """e = 1 exactly if the digits dropped are at least those of the first addend, which party 0 knows; the share that
    comes out does not tell any of it to the others."""
    rng = np.random.default_rng(11)
    x = rng.integers(-(2**61), 2**61, N)

    class Listening(Aby3):
        async def _truncated(self, first, *others):
            self.first = first  # behind the coin
            return await super()._truncated(first, *others)

    async def program(p):
        share = await p.share(x.view(np.uint64) if p.party.rank == 0 else None, 0, (N,))
        result = await p.trunc(share, 18)
        return p.first, result.parts, await p.reveal_to(result, [0, 1, 2])

    (first, _, opened), (_, parts, _), _ = World(Listening, seed=9).run(program)
    dropped, addend = x.view(np.uint64) & (2**18 - 1), first & np.uint64(2**18 - 1)
    error = opened.view(np.int64) - (x >> 18)
    assert (error == (dropped >= addend)).all()
    for part in parts:  # party 1's: the lowest bits against the error, a two by two table
        table = np.array([[((part & 1 == a) & (error == e)).sum() for e in (0, 1)] for a in (0, 1)], float)
        expected = table.sum(1)[:, None] * table.sum(0) / table.sum()
        assert ((table - expected) ** 2 / expected).sum() < 28


def test_a_message_without_a_mask_would_be_noticed():
    class Careless(Aby3):
        async def split(self, u, shape):
            if u is not None:
                self.party.send(2, u)
            elif self.party.rank == 2:
                return await self.party.recv(0, np.empty(shape, self.dtype))
            return np.zeros(shape, self.dtype)

    world = World(Careless, seed=0, intercept=Listener())

    async def program(p):
        await _cross(p, (await shared(p, 3, 0))[0])

    world.run(program)
    with pytest.raises(AssertionError, match="chi-square"):
        for one, other in combinations(world.intercept.heard[2], 2):
            if one.size == other.size:
                assert_uniform(one ^ other, "x0 + x1, twice")
