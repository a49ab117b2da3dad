"""`argot._core.ot`: both sides of a pool in one process, every call against its definition."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from argot._core import ot, ring

SESSION = bytes(range(32))
DTYPES = [np.dtype(np.uint32), np.dtype(np.uint64), ring.Z128]
SIZES = [1, 63, 64, 65, 1000]


class Sides:
    """A pool and the number of its next correlation that no test has taken."""

    def __init__(self) -> None:
        self.sender, self.receiver = ot.Sender(SESSION, 1, "small"), ot.Receiver(SESSION, 1, "small")
        answer = self.receiver.answer(self.sender.begin())
        self.receiver.finish(self.sender.finish(answer))
        self.next = 0

    def extend(self) -> None:
        self.receiver.extend(self.sender.extend())

    def take(self, n: int) -> tuple[ot.SenderCots, ot.ReceiverCots]:
        while self.sender.made < self.next + n:
            self.extend()
        start, self.next = self.next, self.next + n
        return self.sender.take(start, n), self.receiver.take(start, n)


@pytest.fixture(scope="module")
def sides() -> Sides:
    return Sides()


def bits(planes: NDArray[np.uint64], size: int) -> NDArray[np.bool_]:
    """Planes as booleans (w, size); the bits beyond the last element are zero."""
    all_bits = np.unpackbits(planes.view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert not all_bits[:, size:].any()
    return all_bits[:, :size]


def planes_of(values: NDArray[np.bool_]) -> NDArray[np.uint64]:
    width, size = values.shape
    packed = np.zeros((width, -(-size // 64) * 8), np.uint8)
    packed[:, : -(-size // 8)] = np.packbits(values, axis=1, bitorder="little")
    return packed.view(np.uint64)


def numbers(values: NDArray[Any]) -> list[int]:
    """Elements of a ring as Python's integers."""
    if values.dtype == ring.Z128:
        return [int(low) | int(high) << 64 for low, high in values.view(np.uint64).reshape(-1, 2)]
    return [int(v) for v in values.ravel()]


def drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    words = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
    return words.view(dtype).reshape(shape)


def test_a_pool_is_taken_from_at_any_place_and_never_twice() -> None:
    sides = Sides()
    with pytest.raises(ot.Missing, match="0 are made"):
        sides.sender.take(0, 1)
    sides.extend()
    sides.extend()
    gain = sides.sender.gain
    assert sides.sender.made == sides.receiver.made == 2 * gain == 2 * sides.receiver.gain
    for side in (sides.sender, sides.receiver):
        assert len(side.take(gain - 5, 10)) == 10
        assert len(side.take(0, 7)) == 7
        for start, n in [(gain - 5, 10), (6, 1), (5, 100), (0, 2 * gain)]:
            with pytest.raises(ot.Reused, match="taken before"):
                side.take(start, n)
        for start, n in [(2 * gain, 1), (2 * gain - 1, 2), (2**64 - 1, 5)]:
            with pytest.raises(ot.Missing):
                side.take(start, n)
        assert len(side.take(7, 0)) == 0


def test_steps_out_of_turn_and_bad_messages_have_names() -> None:
    sender, receiver = ot.Sender(SESSION, 0, "small"), ot.Receiver(SESSION, 0, "small")
    for step in (sender.extend, lambda: sender.finish(b""), lambda: receiver.finish(b""), lambda: receiver.extend(b"")):
        with pytest.raises(ot.OutOfTurn):
            step()
    request = sender.begin()
    with pytest.raises(ot.OutOfTurn):
        sender.begin()
    with pytest.raises(ot.BadMessage):
        receiver.answer(request[1:])
    with pytest.raises(ot.BadMessage, match="ristretto255"):
        receiver.answer(b"\xff" * len(request))
    answer = receiver.answer(request)
    with pytest.raises(ot.BadMessage):
        sender.finish(answer + b"\0")
    receiver.finish(sender.finish(answer))
    first, second = sender.extend(), sender.extend()
    assert len(first) == len(second) == sender.extension_bytes == receiver.extension_bytes
    with pytest.raises(ot.BadMessage):
        receiver.extend(first[1:])
    with pytest.raises(ot.BadMessage, match="begins with"):
        receiver.extend(second)
    receiver.extend(first)
    receiver.extend(second)
    with pytest.raises(ValueError, match="wanted 32"):
        ot.Sender(b"short", 0)
    with pytest.raises(ValueError, match="small"):
        ot.Sender(SESSION, 0, "tiny")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("width", "strings"), [(1, 1), (3, 1), (2, 5), (1, 64)])
def test_products(sides: Sides, size: int, width: int, strings: int) -> None:
    sent, received = sides.take(width * size)
    (b, u), (a, v) = sent.products(size, strings), received.products(size, strings)
    words = -(-size // 64)
    assert a.shape == (width, words) and b.shape == u.shape == v.shape == (strings * width, words)
    of_a, of_b, of_u, of_v = (bits(x, size) for x in (a, b, u, v))
    assert ((of_u ^ of_v) == (np.tile(of_a, (strings, 1)) & of_b)).all()
    if size == 1000:
        for x in (of_a, of_b, of_u, of_v):
            assert (abs(x.mean(axis=1) - 0.5) < 0.1).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("every", [False, True])
def test_weighted(sides: Sides, dtype: np.dtype[Any], chosen: bool, every: bool) -> None:
    rng = np.random.default_rng(5)
    k = 8 * dtype.itemsize
    for n, planes, shift in [(1, k, 0), (65, k, 0), (600, 2, 3), (1100, 1, k - 1)]:
        sent, received = sides.take(planes * n)
        deltas = drawn(rng, (planes, n) if every else (n,), dtype)
        choices = rng.integers(0, 2, (planes, n), dtype=np.uint8).astype(bool)
        if chosen:
            request = received.choose(planes_of(choices), n)
            assert len(request) == -(-planes * n // 8)
            sent.follow(request)
        x, message = sent.weighted(deltas, n, planes, shift)
        assert len(message) == sum(-(-n * (k - shift - p) // 8) for p in range(planes))
        assert len(message) == ot.weighted_bytes(dtype, n, planes, shift)
        y = received.weighted(dtype, n, planes, shift, message)
        assert x.shape == y.shape == (n,) and x.dtype == y.dtype == dtype
        total = [(i + j) % 2**k for i, j in zip(numbers(x), numbers(y), strict=True)]
        if chosen:
            of_plane = [numbers(row) for row in deltas] if every else [numbers(deltas)] * planes
            want = [
                sum(int(choices[p, e]) * of_plane[p][e] << p + shift for p in range(planes)) % 2**k for e in range(n)
            ]
            assert total == want
        elif planes == 1:
            assert set(total) == {0, 1 << (k - 1)}


@pytest.mark.parametrize("digit", [1, 2, 3, 4])
def test_digits(sides: Sides, digit: int) -> None:
    rng = np.random.default_rng(digit)
    for size, width in [(1, 64), (65, 9), (600, 13)]:
        sent, received = sides.take(width * size)
        a, c = (rng.integers(0, 2, (width, size), dtype=np.uint8).astype(bool) for _ in range(2))
        sent.follow(received.choose(planes_of(c), size))
        g0, p0, message = sent.digits(planes_of(a), size, digit)
        assert len(message) == ot.digits_bytes(size, width, digit)
        g1, p1 = received.digits(size, width, digit, message)
        assert g0.shape == p0.shape == g1.shape == p1.shape == (-(-width // digit), -(-size // 64))
        g, p = bits(g0, size) ^ bits(g1, size), bits(p0, size) ^ bits(p1, size)
        for row, first in enumerate(range(0, width, digit)):
            b = min(digit, width - first)
            weights = 2 ** np.arange(b)[:, None]
            total = ((a[first : first + b].astype(int) + c[first : first + b]) * weights).sum(axis=0)
            assert (g[row] == (total >= 2**b)).all() and (p[row] == (total == 2**b - 1)).all()
    assert ot.digits_bytes(1_000_000, 64, 4) == 16 * 30 * 125_000


@pytest.mark.parametrize("digit", [1, 3, 5, 7])
def test_near(sides: Sides, digit: int) -> None:
    """Of two numbers of the sender, in digits: each bound, and two of the highest bits."""
    rng = np.random.default_rng(digit)
    for size, width in [(1, 7), (65, 9), (600, 14)]:
        sent, received = sides.take(width * size)
        c = rng.integers(0, 2**width, size)
        others = [np.where(rng.integers(0, 2, size) == 1, c, rng.integers(0, 2**width, size)), c + 1]
        planes = [planes_of((x[None] >> np.arange(width)[:, None] & 1).astype(bool)) for x in (c, *others)]
        sent.follow(received.choose(planes[0], size))
        first, message = sent.near(np.concatenate(planes[1:]), size, digit, [1], 2)
        assert len(message) == ot.near_bytes(size, width, digit, 6)
        second = received.near(size, width, digit, 2, [1], 2, message)
        digits = -(-width // digit)
        assert first.shape == second.shape == (6, digits, -(-size // 64))
        for i, other in enumerate(others):
            for d in range(digits):
                b = min(digit, width - d * digit)
                apart = ((c >> d * digit) - (other >> d * digit)) % 2**b
                wanted = [np.minimum(apart, 2**b - apart) < 2, apart << 1 >> b - 1 & 1, apart >> b - 1]
                if b == 1:
                    wanted[:2] = [np.ones(size), np.zeros(size)]
                for row, want in enumerate(wanted):
                    got = bits(first[3 * i + row, d : d + 1], size) ^ bits(second[3 * i + row, d : d + 1], size)
                    assert (got[0] == want.astype(bool)).all(), (width, i, d, row)


def test_several_sums_of_the_same_bits(sides: Sides) -> None:
    rng = np.random.default_rng(2)
    for n, planes in [(1, 3), (65, 1), (600, 2)]:
        sent, received = sides.take(planes * n)
        choices = rng.integers(0, 2, (planes, n), dtype=np.uint8).astype(bool)
        deltas = drawn(rng, (2, planes, n) if planes > 1 else (2, n), np.dtype(np.uint64))
        sent.follow(received.choose(planes_of(choices), n))
        x, message = sent.weighted(deltas, n, planes, 1, 2)
        assert len(message) == 2 * ot.weighted_bytes(np.uint64, n, planes, 1)
        y = received.weighted(np.uint64, n, planes, 1, message, 2)
        weights = (np.uint64(2) << np.arange(planes, dtype=np.uint64))[:, None]
        want = (deltas.reshape(2, planes, n) * choices * weights).sum(axis=1, dtype=np.uint64)
        assert ((x + y).reshape(2, n) == want).all()


def test_correlations_are_spent_once(sides: Sides) -> None:
    sent, received = sides.take(128)
    sent.products(64)
    received.products(64)
    for again in (
        lambda: sent.products(0),
        lambda: sent.follow(b""),
        lambda: received.products(0),
        lambda: received.choose(np.zeros((0, 1), np.uint64), 64),
    ):
        with pytest.raises(ot.Reused, match="spent before"):
            again()
    assert len(sent) == len(received) == 0


def test_chosen_bits_make_no_random_products(sides: Sides) -> None:
    sent, received = sides.take(64)
    sent.follow(received.choose(np.zeros((1, 1), np.uint64), 64))
    for side in (sent, received):
        with pytest.raises(ValueError, match="random ones are wanted"):
            side.products(64)


def test_arguments_are_checked_and_spend_nothing(sides: Sides) -> None:
    sent, received = sides.take(130)
    deltas = np.ones(65, np.uint64)
    for wrong in (
        lambda: sent.products(64),
        lambda: received.products(64),
        lambda: sent.weighted(deltas[:64], 65, 2, 0),
        lambda: sent.weighted(deltas, 65, 3, 0),
        lambda: sent.weighted(deltas, 65, 2, 63),
        lambda: received.weighted(np.uint64, 65, 2, 63, b""),
        lambda: received.choose(np.zeros((2, 1), np.uint64), 65),
        lambda: received.choose(np.zeros((3, 2), np.uint64), 65),
        lambda: sent.digits(np.zeros((2, 2), np.uint64), 65, 5),
        lambda: sent.digits(np.zeros((3, 2), np.uint64), 65, 2),
        lambda: received.digits(65, 2, 0, b""),
        lambda: received.digits(65, 2, 2, b""),
        lambda: sent.near(np.zeros((2, 2), np.uint64), 65, 8, [0], 0),
        lambda: sent.near(np.zeros((2, 2), np.uint64), 65, 2, [], 0),
        lambda: sent.near(np.zeros((3, 2), np.uint64), 65, 2, [0], 0),
        lambda: received.near(65, 2, 2, 4, [0], 1, b""),
        lambda: received.near(65, 2, 2, 1, [0], 0, b""),
        lambda: sent.weighted(np.ones((3, 65), np.uint64), 65, 2, 0, 3),
        lambda: sent.weighted(np.ones((2, 3, 65), np.uint64), 65, 2, 0, 2),
        lambda: received.weighted(np.uint64, 65, 2, 0, b"", 2),
        lambda: sent.follow(b""),
        lambda: received.weighted(np.uint64, 65, 2, 0, b""),
    ):
        with pytest.raises(ValueError):
            wrong()
    for mistaken in (
        lambda: sent.weighted(np.ones(65), 65, 2, 0),
        lambda: received.weighted(np.float64, 65, 2, 0, b""),
        lambda: received.choose(np.zeros((2, 2), np.uint32), 65),
    ):
        with pytest.raises(TypeError):
            mistaken()
    x, message = sent.weighted(deltas, 65, 2, 0)
    y = received.weighted(np.uint64, 65, 2, 0, message)
    assert set(x + y) <= {0, 1, 2, 3}


def test_takes_go_on_while_the_pool_is_extended() -> None:
    sides = Sides()
    sides.extend()
    failed: list[BaseException] = []

    def take(first: int) -> None:
        try:
            for start in range(first, 300_000, 3000):
                (b, u), (a, v) = (
                    sides.sender.take(start, 1000).products(1000),
                    sides.receiver.take(start, 1000).products(1000),
                )
                assert ((u ^ v) == (a & b)).all()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=take, args=(1000 * i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        sides.extend()
    for thread in threads:
        thread.join()
    assert not failed and sides.sender.made == 4 * sides.sender.gain
