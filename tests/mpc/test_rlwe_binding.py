"""Products on shares by lattice encryption, from Python: against NumPy and exact integers, and every bad message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from argot._core import ring, rlwe

Array = NDArray[Any]
DTYPES = {32: np.uint32, 64: np.uint64}
HEADER = 24

P = TypeVar("P", rlwe.Products, rlwe.Matrices, rlwe.Convolutions)


@pytest.fixture(autouse=True)
def rings_wrap() -> Iterator[None]:
    with np.errstate(over="ignore"):  # of 0-d arrays
        yield


def random(rng: np.random.Generator, shape: tuple[int, ...], bits: int, dtype: Any) -> Array:
    """Below 2^bits, the largest number among them."""
    x = np.asarray(rng.integers(0, 2**64, size=shape, dtype=np.uint64) >> np.uint64(64 - bits), dtype)
    if x.size:
        x.flat[0] = 2**bits - 1
    return x


def pair(make: Callable[[], P]) -> tuple[P, P]:
    """Two parties that have met."""
    a, b = make(), make()
    a.meet(b.public_key())
    b.meet(a.public_key())
    return a, b


def exact(left: Array, right: Array, bits: int) -> Array:
    """The product of matrices modulo 2^bits, by Python's integers."""
    return np.asarray((left.astype(object) @ right.astype(object)) % 2**bits, DTYPES[bits])


# ---- element by element


@pytest.mark.parametrize(("bits", "x_bits", "y_bits"), [(64, 64, 64), (64, 40, 40), (32, 32, 32), (32, 1, 32)])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (9000,), (0, 4)])
def test_shares_of_products_sum_to_them(bits: int, x_bits: int, y_bits: int, shape: tuple[int, ...]) -> None:
    dtype = DTYPES[bits]
    rng = np.random.default_rng([bits, x_bits])
    a, b = pair(lambda: rlwe.Products(bits, x_bits, y_bits))
    x, y = random(rng, shape, x_bits, dtype), random(rng, shape, y_bits, dtype)
    request = a.request(x)
    answer, theirs = b.answer(request, y)
    ours = a.finish(shape, dtype, answer)
    assert (len(request), len(answer)) == a.sizes(x.size)
    for share in (ours, theirs):
        assert share.shape == shape and share.dtype == dtype
    np.testing.assert_array_equal(ours + theirs, x * y)


@pytest.mark.parametrize("bits", [32, 64])
def test_cross_terms_of_shares_complete_a_product(bits: int) -> None:
    dtype = DTYPES[bits]
    rng = np.random.default_rng(3)
    a, b = pair(lambda: rlwe.Products(bits, bits, bits))
    x0, y0, x1, y1 = (random(rng, (7, 3), bits, dtype) for _ in range(4))
    request = a.request(x0, y0)
    answer, theirs = b.answer(request, y1, x1)
    ours = a.finish((7, 3), dtype, answer)
    assert (len(request), len(answer)) == a.sizes(21, 2)
    np.testing.assert_array_equal(x0 * y0 + ours + theirs + x1 * y1, (x0 + x1) * (y0 + y1))
    assert (ours != theirs).any()


@pytest.mark.parametrize(("widths", "terms"), [((40, 20, 20, 16), 13), ((56, 27, 27, 8), 7)])
def test_sums_of_some_products(widths: tuple[int, int, int, int], terms: int) -> None:
    rng = np.random.default_rng(8)
    a, b = pair(lambda: rlwe.Products(*widths))
    x, y = (rng.integers(0, 2 ** widths[1], (terms, 100), dtype=np.uint64) for _ in range(2))
    request = a.request(*x)
    answer, theirs = b.answer(request, *y)
    assert (len(request), len(answer)) == a.sizes(100, terms)
    total = a.finish((100,), np.uint64, answer) + theirs
    np.testing.assert_array_equal(total % 2 ** widths[0], (x * y).sum(axis=0) % 2 ** widths[0])
    with pytest.raises(ValueError, match="wanted 1 to"):
        a.sizes(100, widths[3] + 1)
    with pytest.raises(TypeError, match="wanted 1 to"):
        a.request(*np.ones((widths[3] + 1, 2), np.uint64))


def test_rows_of_another_array_and_other_buffers_are_read() -> None:
    rng = np.random.default_rng(4)
    a, b = rlwe.Products(32, 32, 32), rlwe.Products(32, 32, 32)
    b.meet(memoryview(a.public_key()))
    x, y = random(rng, (20, 30), 32, np.uint32), random(rng, (20, 30), 32, np.uint32)
    answer, theirs = b.answer(np.frombuffer(a.request(x[::2, ::3]), np.uint8), y.T[::3, ::2].T)
    ours = a.finish((10, 10), np.dtype("uint32"), bytearray(answer))
    np.testing.assert_array_equal(ours + theirs, x[::2, ::3] * y[::2, ::3])


def test_a_ring_of_fewer_bits_than_its_dtype() -> None:
    a, b = pair(lambda: rlwe.Products(40, 40, 40))
    x = random(np.random.default_rng(5), (50,), 40, np.uint64)
    answer, theirs = b.answer(a.request(x), x)
    ours = a.finish((50,), np.uint64, answer)
    assert max(ours.max(), theirs.max()) < 2**40
    np.testing.assert_array_equal((ours + theirs) % 2**40, x * x % 2**40)


def test_an_object_serves_several_threads_at_a_time() -> None:
    a, b = pair(lambda: rlwe.Products(64, 64, 64))

    def product(seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, y = random(rng, (500,), 64, np.uint64), random(rng, (500,), 64, np.uint64)
        answer, theirs = b.answer(a.request(x), y)
        np.testing.assert_array_equal(a.finish((500,), np.uint64, answer) + theirs, x * y)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(product, range(8)))


# ---- matrices


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("merging", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 4), (40, 1, 70), (1, 300, 200), (200, 300, 1), (30, 9000, 2)])
def test_shares_of_a_product_of_matrices(bits: int, merging: bool, shape: tuple[int, int, int]) -> None:
    """Either matrix may be the one that is encrypted: each party reads one of its two."""
    m, k, n = shape
    dtype = DTYPES[bits]
    rng = np.random.default_rng([bits, *shape])
    a, b = pair(lambda: rlwe.Matrices(bits, bits, merging))
    assert len(a.public_key()) == a.key_size()
    left = [random(rng, (m, k), bits, dtype) for _ in "ab"]
    right = [random(rng, (k, n), bits, dtype) for _ in "ab"]
    request = a.request(left[0], right[0])
    answer, theirs = b.answer(request, left[1], right[1])
    ours = a.finish(m, k, n, dtype, answer)
    assert (len(request), len(answer)) == a.sizes(m, k, n)
    for share in (ours, theirs):
        assert share.shape == (m, n) and share.dtype == dtype
    of_left, of_right = exact(left[0], right[1], bits), exact(left[1], right[0], bits)
    total = ours + theirs
    assert np.array_equal(total, of_left) or np.array_equal(total, of_right)


@pytest.mark.parametrize("shape", [(1, 300, 200), (200, 300, 1)])
def test_cross_terms_complete_a_product_of_matrices(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    rng = np.random.default_rng(shape)
    parties = pair(lambda: rlwe.Matrices(64, 64))
    left = [random(rng, (m, k), 64, np.uint64) for _ in parties]
    right = [random(rng, (k, n), 64, np.uint64) for _ in parties]
    requests = [party.request(left[i], right[i]) for i, party in enumerate(parties)]
    answers = [party.answer(requests[1 - i], left[i], right[i]) for i, party in enumerate(parties)]
    total = np.zeros((m, n), np.uint64)
    for i, party in enumerate(parties):
        total += party.finish(m, k, n, np.uint64, answers[1 - i][0]) + answers[i][1] + exact(left[i], right[i], 64)
    np.testing.assert_array_equal(total, exact(left[0] + left[1], right[0] + right[1], 64))


def test_merging_takes_fewer_bytes_of_large_products() -> None:
    plain, merging = rlwe.Matrices(64, 64), rlwe.Matrices(64, 64, True)
    for shape, share in [((500, 500, 500), 0.34), ((128, 784, 128), 0.3), ((64, 30, 1), 1.0)]:
        fewer, more = sum(merging.sizes(*shape)), sum(plain.sizes(*shape))
        assert fewer <= share * more, (shape, fewer, more)
    assert 2 * sum(merging.sizes(500, 500, 500)) + 2 * merging.key_size() < 26.2e6
    with pytest.raises(ValueError, match="cannot be merged"):
        rlwe.Matrices(8, 1, True)


def test_small_signed_operands() -> None:
    rng = np.random.default_rng(7)
    a, b = pair(lambda: rlwe.Matrices(64, 8))
    left = random(rng, (20, 30), 64, np.uint64)
    right = rng.integers(-128, 128, size=(30, 20)).astype(np.int64).view(np.uint64)
    answer, theirs = b.answer(a.request(left, right), left, right)
    np.testing.assert_array_equal(a.finish(20, 30, 20, np.uint64, answer) + theirs, exact(left, right, 64))


# ---- convolutions


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("shape", [(1, 5, 5, 1, 3, 3, 1), (3, 12, 10, 5, 3, 2, 2), (2, 60, 70, 3, 5, 5, 1)])
def test_shares_of_a_convolution(bits: int, shape: rlwe.Shape) -> None:
    channels, height, width, kernels, tall, wide, stride = shape
    dtype = DTYPES[bits]
    rng = np.random.default_rng([bits, *shape])
    a, b = pair(lambda: rlwe.Convolutions(bits, bits))
    x = random(rng, (channels, height, width), bits, dtype)
    w = random(rng, (kernels, channels, tall, wide), bits, dtype)
    request = a.request(shape, x)
    answer, theirs = b.answer(shape, request, w)
    assert (len(request), len(answer)) == a.sizes(shape)
    windows = np.lib.stride_tricks.sliding_window_view(x, (tall, wide), axis=(1, 2))[:, ::stride, ::stride]
    want = np.einsum("cijyz,mcyz->mij", windows, w)  # wraps, as shares do
    ours = a.finish(shape, dtype, answer)
    assert ours.shape == theirs.shape == want.shape and ours.dtype == theirs.dtype == dtype
    np.testing.assert_array_equal(ours + theirs, want)


# ---- what is refused


def changed(message: bytes, position: int, value: int) -> bytes:
    return message[:position] + bytes([value]) + message[position + 1 :]


def bad(message: bytes, other: bytes) -> list[tuple[bytes, str]]:
    """What may come in place of a message, and what the error says. `other` is of other parameters."""
    return [
        (b"", "0 bytes; want"),
        (message[:-1], f"{len(message) - 1} bytes; want {len(message)}"),
        (message + b"\0", f"{len(message) + 1} bytes; want {len(message)}"),
        (message[: HEADER - 1], f"{HEADER - 1} bytes; want"),
        (changed(message, 0, 0x21), "bytes of kind 0x21; want"),
        (changed(message, 1, 12), "polynomials of degree 4096; want 8192"),
        (changed(message, 1, 255), "polynomials of degree 0; want 8192"),
        (changed(message, 2, 1), "bits after the last number"),
        (changed(message, 8, message[8] ^ 1), "modulus with the fingerprint"),
        (changed(message, 16, message[16] ^ 1), "shapes with the fingerprint"),
        (other, "modulus with the fingerprint|degree|shapes with the fingerprint"),
    ]


def refuses(read: Callable[[bytes], object], message: bytes, other: bytes) -> None:
    for bytes_, what in bad(message, other):
        with pytest.raises(rlwe.BadCiphertext, match=what):
            read(bytes_)
    read(message)


def full(message: bytes) -> bytes:
    """The first residue is not below its prime."""
    start = HEADER + 32
    return message[:start] + b"\xff" * 8 + message[start + 8 :]


def test_bad_messages_of_products_are_refused() -> None:
    x = np.arange(5, dtype=np.uint32)
    a, b = rlwe.Products(32, 32, 32), rlwe.Products(32, 32, 32)
    c, d = pair(lambda: rlwe.Products(32, 8, 8))
    key, request = a.public_key(), a.request(x)
    refuses(lambda m: rlwe.Products(32, 32, 32).meet(m), key, c.public_key())
    with pytest.raises(rlwe.BadCiphertext, match="coefficient 0 is"):
        b.meet(full(key))
    b.meet(key)
    refuses(lambda m: b.answer(m, x), request, c.request(x))
    with pytest.raises(rlwe.BadCiphertext, match="coefficient 0 is"):
        b.answer(full(request), x)
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        b.answer(a.request(x[:4]), x)
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        b.answer(request, x, x)
    answer, _ = b.answer(request, x)
    refuses(lambda m: a.finish((5,), np.uint32, m), answer, d.answer(c.request(x), x)[0])
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        a.finish((4,), np.uint32, answer)


def test_bad_messages_of_matrices_are_refused() -> None:
    x = np.arange(12, dtype=np.uint64).reshape(3, 4)
    a, b = rlwe.Matrices(64, 64), rlwe.Matrices(64, 64)
    c, d = pair(lambda: rlwe.Matrices(64, 63))
    key, request = a.public_key(), a.request(x, x.T)
    refuses(lambda m: rlwe.Matrices(64, 64).meet(m), key, c.public_key())
    b.meet(key)
    refuses(lambda m: b.answer(m, x, x.T), request, c.request(x, x.T))
    with pytest.raises(rlwe.BadCiphertext, match=r"coefficient \d+ is"):
        b.answer(full(request), x, x.T)
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        b.answer(a.request(x.T, x), x, x.T)
    merging = rlwe.Matrices(64, 64, True)
    keys = merging.public_key()
    start = len(key)
    for keys_, what in [
        (key, "0 bytes; want"),
        (keys[:-1], "bytes; want"),
        (changed(keys, start, 0x11), "bytes of kind 0x11; want 0x16"),
        (keys[:start] + full(keys[start:]), "coefficient 0 is"),
    ]:
        with pytest.raises(rlwe.BadCiphertext, match=what):
            merging.meet(keys_)
    merging.meet(keys)
    answer, _ = b.answer(request, x, x.T)
    refuses(lambda m: a.finish(3, 4, 3, np.uint64, m), answer, d.answer(c.request(x, x.T), x, x.T)[0])
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        a.finish(3, 3, 3, np.uint64, answer)


def test_bad_messages_of_convolutions_are_refused() -> None:
    shape = (1, 4, 4, 1, 2, 2, 1)
    x, w = np.arange(16, dtype=np.uint32).reshape(1, 4, 4), np.ones((1, 1, 2, 2), np.uint32)
    a, b = rlwe.Convolutions(32, 32), rlwe.Convolutions(32, 32)
    c, d = pair(lambda: rlwe.Convolutions(32, 31))
    key, request = a.public_key(), a.request(shape, x)
    refuses(lambda m: rlwe.Convolutions(32, 32).meet(m), key, c.public_key())
    b.meet(key)
    refuses(lambda m: b.answer(shape, m, w), request, c.request(shape, x))
    answer, _ = b.answer(shape, request, w)
    refuses(lambda m: a.finish(shape, np.uint32, m), answer, d.answer(shape, c.request(shape, x), w)[0])
    with pytest.raises(rlwe.BadCiphertext, match="shapes"):
        a.finish((1, 4, 4, 1, 2, 2, 2), np.uint32, answer)


def test_a_key_is_met_once_and_before_an_answer() -> None:
    a, b = rlwe.Products(32, 32, 32), rlwe.Products(32, 32, 32)
    x = np.zeros(1, np.uint32)
    with pytest.raises(RuntimeError, match="call meet first"):
        b.answer(a.request(x), x)
    b.meet(a.public_key())
    with pytest.raises(ValueError, match="met once"):
        b.meet(a.public_key())


def test_numbers_that_are_too_wide_are_refused() -> None:
    a, b = pair(lambda: rlwe.Products(64, 10, 12))
    one = np.ones(3, np.uint64)
    with pytest.raises(rlwe.TooWide, match="more than 10 bits"):
        a.request(one << np.uint64(10))
    with pytest.raises(rlwe.TooWide, match="more than 12 bits"):
        b.answer(a.request(one), one << np.uint64(12))
    c, d = pair(lambda: rlwe.Matrices(64, 8))
    wide = np.full((1, 1), 128, np.uint64)
    with pytest.raises(rlwe.TooWide, match="more than 8 bits"):
        d.answer(c.request(wide, wide), wide, wide)
    d.answer(c.request(wide, wide), wide, wide - 1)


def test_parameters_and_arrays_that_do_not_fit_are_refused() -> None:
    for widths in [(65, 64, 64), (0, 1, 1), (64, 65, 64), (64, 64, 0)]:
        with pytest.raises(ValueError, match="a width of"):
            rlwe.Products(*widths)
    for ring_bits, operand_bits in [(65, 64), (7, 7), (32, 33), (32, 0)]:
        with pytest.raises(ValueError, match="a width of"):
            rlwe.Matrices(ring_bits, operand_bits)
    a, b = pair(lambda: rlwe.Products(64, 32, 32))
    short = np.ones(3, np.uint32)
    request = a.request(short)
    with pytest.raises(TypeError, match="uint32 cannot hold shares modulo 2\\^64"):
        b.answer(request, short)
    with pytest.raises(TypeError, match="uint32 cannot hold shares modulo 2\\^64"):
        a.finish((3,), np.uint32, b.answer(request, short.astype(np.uint64))[0])
    for array in [np.ones(3, np.int64), np.ones(3, np.float64), np.ones(3, ring.Z128)]:
        with pytest.raises(TypeError, match="wanted uint32 or uint64"):
            a.request(array)
    for operands in [(), (short, short, short)]:
        with pytest.raises(TypeError, match=f"{len(operands)} arrays; wanted 1 to 2"):
            a.request(*operands)
        with pytest.raises(ValueError, match="products; wanted 1 to 2"):
            a.sizes(3, len(operands))
    with pytest.raises(ValueError, match=r"an array has shape \(2,\); wanted \(3,\)"):
        a.request(short, short[:2])
    with pytest.raises(ValueError, match="at most"):
        a.sizes(2**62)
    with pytest.raises(ValueError, match="at most"):
        a.finish((2**40, 2**40), np.uint64, b"")
    c = rlwe.Matrices(64, 64)
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 3\) do not match"):
        c.request(np.ones((2, 3), np.uint64), np.ones((2, 3), np.uint64))
    with pytest.raises(ValueError, match="a dimension of 0"):
        c.request(np.ones((2, 0), np.uint64), np.ones((0, 3), np.uint64))
    d = rlwe.Convolutions(64, 64)
    with pytest.raises(ValueError, match=r"input has shape \(4, 4\); wanted \(1, 4, 4\)"):
        d.request((1, 4, 4, 1, 2, 2, 1), np.ones((4, 4), np.uint64))
    with pytest.raises(ValueError, match="a dimension of 5"):
        d.sizes((1, 4, 4, 1, 5, 5, 1))
