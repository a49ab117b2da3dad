"""What all parties but one learn together: no sum of what they receive and of what they draw depends on a secret.

One secret is run in thousands of elements at once. Every bit of a message, of a draw or of a secret is then a column of
thousands of values; columns of the curious parties span a space over GF(2), and if a secret column, or a sum of such,
were in it, the rank would show it. A mask that is used twice does show (the last test).
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any

import numpy as np
import pytest

from argot import mpc
from argot._core import prf, ring
from argot.mpc import derived
from argot.mpc.bits import Bits
from argot.mpc.semi2k import Semi2k
from argot.runtime.world import World

N, K = 64 * 128, 32
HEADER = 32
FORMS = [mpc.Form(Semi2k, 3, dealer=True), mpc.Form(Semi2k, 4, dealer=True)]
Columns = list[int]


def of_numbers(array: np.ndarray) -> Columns:
    """A column for each bit of the numbers, N of them or several times as many."""
    array = np.ascontiguousarray(array).reshape(-1)
    if array.size % N:
        return []
    bits = [(row >> array.dtype.type(b)) & array.dtype.type(1) for row in array.reshape(-1, N) for b in range(K)]
    return [int.from_bytes(np.packbits(bit.astype(np.uint8), bitorder="little").tobytes(), "little") for bit in bits]


def of_planes(planes: np.ndarray) -> Columns:
    return [int.from_bytes(np.ascontiguousarray(plane).tobytes()[: N // 8], "little") for plane in planes]


class Coalition:
    """All computing parties but one: what they are sent from outside, and all they draw."""

    def __init__(self, form: mpc.Form, honest: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ranks = {rank for rank in range(form.parties - 1) if rank != honest}
        self.received: Columns = []
        self.keys: set[bytes] = set()
        self.drawn: dict[bytes, Columns] = {}
        fill, stream, add, sub = prf.fill, ring.bits_stream, ring.add_stream, ring.sub_stream

        def note(key: bytes, columns: Columns) -> None:
            self.drawn.setdefault(bytes(key), []).extend(columns)

        def filled(key: bytes, *args: Any) -> Any:
            found = fill(key, *args)
            note(key, of_numbers(found))
            return found

        def streamed(key: bytes, width: int, n: int) -> Any:
            found = stream(key, width, n)
            note(key, of_planes(found) if n == N else [])
            return found

        def added(x: Any, key: bytes, *args: Any) -> Any:
            note(key, of_numbers(fill(key, x.shape, x.dtype)))
            return add(x, key, *args)

        def subtracted(x: Any, key: bytes, *args: Any) -> Any:
            note(key, of_numbers(fill(key, x.shape, x.dtype)))
            return sub(x, key, *args)

        monkeypatch.setattr(prf, "fill", filled)
        monkeypatch.setattr(ring, "bits_stream", streamed)
        monkeypatch.setattr(ring, "add_stream", added)
        monkeypatch.setattr(ring, "sub_stream", subtracted)

    def hear(self, sender: int, receiver: int, packet: bytes) -> list[bytes]:
        """The interceptor: messages from outside the coalition are written down."""
        offset = 0
        while offset < len(packet):
            (size,) = unpack_from("<Q", packet, offset + 24)
            payload = packet[offset + HEADER : offset + HEADER + size]
            if receiver in self.ranks and sender not in self.ranks:
                if size % (K // 8 * N) == 0:
                    self.received += of_numbers(np.frombuffer(payload, np.uint32))
                if size % (N // 8) == 0:
                    self.received += of_planes(np.frombuffer(payload, np.uint64).reshape(-1, N // 64))
            offset += HEADER + size + (-size % 8)
        return [packet]

    def watch(self, party: Any) -> None:
        """Note the keys that a member draws."""
        if party.rank not in self.ranks:
            return
        before = party.on_draw

        def note(subset: Any, name: bytes, key: bytes) -> None:
            before(subset, name, key)
            self.keys.add(bytes(key))

        party.on_draw = note

    def view(self) -> Columns:
        return self.received + [column for key in self.keys for column in self.drawn.get(key, [])]


def rank(columns: Columns, basis: dict[int, int]) -> int:
    """How many columns are no sum of others or of the basis, which they join."""
    new = 0
    for column in columns:
        while column:
            top = column.bit_length()
            if top not in basis:
                basis[top] = column
                new += 1
                break
            column ^= basis[top]
    return new


async def chained(p: Any, x: Any, y: Any, b: Any, c: Any) -> None:
    """Results of one operation are opened masked in the next."""
    z = await p.trunc(await p.mul(x, y), 5)
    await p.mul_bit(await p.msb(z, 12), p.add(z, x))


OPERATIONS = {
    "mul": lambda p, x, y, b, c: p.mul(x, y),
    "square": lambda p, x, y, b, c: p.square(x),
    "trunc": lambda p, x, y, b, c: p.trunc(x, 9),
    "ands": lambda p, x, y, b, c: p.ands(b, [c, b.bits_at(3, 7)]),
    "msb": lambda p, x, y, b, c: p.msb(x, 12),
    "equal": lambda p, x, y, b, c: p.equal(x, y, 12),
    "b2a": lambda p, x, y, b, c: p.b2a(b),
    "mul_bit": lambda p, x, y, b, c: p.mul_bit(b.bits_at(0, 1), x),
    "chained": chained,
    "exp": lambda p, x, y, b, c: derived.exp(p, x, low=-9.0, high=8.0),
    "sigmoid": lambda p, x, y, b, c: derived.sigmoid(p, x, 10),
    "sin": lambda p, x, y, b, c: derived.sin(p, x),
}


def learned(form: mpc.Form, honest: int, operation: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """(rank of the secrets, rank that is left of it once the coalition's view is known)."""
    coalition = Coalition(form, honest, monkeypatch)
    world = World(lambda party: form(party, ring=K), n=form.parties, seed=5, intercept=coalition.hear)
    rng = np.random.default_rng(7)
    x, y = (rng.integers(0, 2**14, N, dtype=np.uint32) for _ in range(2))
    b, c = (Bits.from_ring(rng.integers(0, 2**7, N, dtype=np.uint32), 7) for _ in range(2))

    async def program(p: Any) -> None:
        coalition.watch(p.party)
        mine = p.party.rank == honest
        numbers = [await p.share(value if mine else None, honest, (N,)) for value in (x, y)]
        words = [await p.share_bits(value if mine else None, honest, (N,), 7) for value in (b, c)]
        await operation(p, *numbers, *words)

    world.run(program)
    monkeypatch.undo()
    secrets = [column for value in (x, y) for column in of_numbers(value) if column]
    secrets += of_planes(b.planes) + of_planes(c.planes)
    view: dict[int, int] = {}
    assert 0 < rank(coalition.view(), view) < N - 2 * len(secrets), "too many columns for so few elements"
    return rank(secrets, {}), rank(secrets, view)


@pytest.mark.parametrize(
    ("form", "honest"), [(f, r) for f in FORMS for r in range(f.parties - 1)], ids=lambda value: repr(value)
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_all_parties_but_one_learn_nothing_linear(name, form, honest, monkeypatch):
    before, after = learned(form, honest, OPERATIONS[name], monkeypatch)
    assert before == after == 42


def test_a_mask_that_is_used_twice_shows(monkeypatch):
    async def careless(p: Any, x: Any, y: Any, b: Any, c: Any) -> None:
        a, product = p.source.square(x.shape)
        if p.computes:
            await p._open(ring.sub(x.parts[0], a))
            await p._open(ring.sub(y.parts[0], a))
        await product()

    before, after = learned(FORMS[0], 0, careless, monkeypatch)
    assert after < before
