"""`Bits` against NumPy: every structural operation on arrays of booleans and of small words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argot._core import prf, ring
from argot.errors import FrameError
from argot.mpc.bits import Bits

BACKENDS = ["avx512", "avx2", "portable"]
SIZES = [0, 1, 7, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1000, 4097]
SHAPES = [(), (0,), (1,), (63,), (64,), (65,), (7, 9), (64, 3), (3, 64), (65, 67), (3, 0, 2), (5, 1, 13), (2, 3, 5, 7)]
WIDTHS = [1, 2, 7, 8, 9, 33, 64]
KEYS = (bytes(range(16)), bytes(range(1, 17)))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    before = ring.backend()
    try:
        ring.set_backend(request.param)
    except ValueError:
        pytest.skip(f"no {request.param} here")
    yield request.param
    ring.set_backend(before)


def words(shape: tuple[int, ...], width: int, seed: int = 0) -> NDArray[np.uint64]:
    """Random words below 2^width."""
    full = np.random.default_rng([seed, width, *shape]).integers(0, 2**64, size=shape, dtype=np.uint64)
    return np.asarray(full >> np.uint64(64 - width), np.uint64)


def check(got: Bits, want: NDArray[Any]) -> None:
    """The same shape and elements; pad bits zero; planes of the right shape."""
    assert got.shape == want.shape
    assert got.planes.shape == (got.width, -(-want.size // 64)) and got.planes.dtype == np.uint64
    np.testing.assert_array_equal(got.to_ring(np.uint64), want)
    if want.size % 64:
        assert not (got.planes[:, -1] >> np.uint64(want.size % 64)).any()


def both(shape: tuple[int, ...], width: int, seed: int = 0) -> tuple[Bits, NDArray[np.uint64]]:
    x = words(shape, width, seed)
    return Bits.from_ring(x, width), x


def planes_of(x: NDArray[Any], width: int) -> NDArray[np.uint64]:
    """The definition: bit e of word w of plane b is bit b of element 64 w + e."""
    flat = [int(v) for v in x.ravel()]
    out = np.zeros((width, -(-len(flat) // 64)), object)
    for i, v in enumerate(flat):
        for b in range(width):
            out[b, i // 64] |= (v >> b & 1) << (i % 64)
    return out.astype(np.uint64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, ring.Z128], ids=str)
def test_slicing_into_planes_and_back(backend: str, dtype: Any) -> None:
    dtype = np.dtype(dtype)
    k = dtype.itemsize * 8
    for n in SIZES:
        x = prf.fill(KEYS[0], n, dtype)
        v = x["lo"].astype(object) + (x["hi"].astype(object) << 64) if k == 128 else x.astype(object)
        for width in sorted({0, 1, 5, 8, 9, 18, 31, 32, 33, 63, 64, 65, 100, 128}):
            if width > k:
                with pytest.raises(ValueError, match=f"{width} bits of words of {k}"):
                    ring.bits_from_ring(x, width)
                continue
            got = ring.bits_from_ring(x, width)
            low = np.asarray(v % 2**width, object) if width else np.zeros(n, object)
            if n <= 129:
                np.testing.assert_array_equal(got, planes_of(low, width))
            back = ring.bits_to_ring(got, (n,), dtype)
            found = back["lo"].astype(object) + (back["hi"].astype(object) << 64) if k == 128 else back.astype(object)
            assert back.dtype == dtype
            np.testing.assert_array_equal(found, low)


def test_large_arrays_are_sliced_by_threads(backend: str) -> None:
    x = prf.fill(KEYS[0], 300_001, np.uint64)
    planes = ring.bits_from_ring(x, 64)
    for b in (0, 17, 63):
        np.testing.assert_array_equal(
            np.unpackbits(planes[b].view(np.uint8), bitorder="little")[:300_001], x >> np.uint64(b) & np.uint64(1)
        )
    np.testing.assert_array_equal(ring.bits_to_ring(planes, x.shape, np.uint64), x)
    np.testing.assert_array_equal(ring.bits_from_ring(x, 13), planes[:13])
    np.testing.assert_array_equal(
        ring.bits_to_ring(planes[:13], x.shape, np.uint32), (x & np.uint64(2**13 - 1)).astype(np.uint32)
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_booleans(backend: str, shape: tuple[int, ...]) -> None:
    x = words(shape, 1).astype(bool)
    bits = Bits.from_bool(x)
    assert bits.width == 1 and bits.size == x.size and bits.ndim == x.ndim
    found = bits.to_bool()
    assert found.dtype == np.bool_ and found.shape == shape
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal((~bits).to_bool(), ~x)
    check(~bits, (~x).astype(np.uint64))
    y = words(shape, 1, seed=1).astype(bool)
    other = Bits.from_bool(y)
    check(bits ^ other, (x ^ y).astype(np.uint64))
    check(bits & other, (x & y).astype(np.uint64))
    check(Bits.zeros(shape), np.zeros(shape, np.uint64))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bytes(shape: tuple[int, ...]) -> None:
    for width in (1, 3, 64):
        bits, x = both(shape, width)
        data = bytes(bits.tobytes())
        size = x.size
        assert len(data) == bits.nbytes
        assert bits.nbytes == (width * -(-size // 8) if size < 64 else width * 8 * -(-size // 64))
        check(Bits.from_bytes(data, shape, width), x)
        check(Bits.from_bytes(memoryview(b"x" + data)[1:], shape, width), x)
        with pytest.raises(FrameError, match="bytes for"):
            Bits.from_bytes(data + b"\0", shape, width)
        if size % 8:
            with pytest.raises(FrameError, match="beyond the last"):
                Bits.from_bytes(data[:-1] + b"\xff", shape, width)


def test_width() -> None:
    bits, x = both((5, 13), 20)
    check(bits.planes_at(3, 11), x >> np.uint64(3) & np.uint64(0xFF))
    assert np.shares_memory(bits.planes_at(3, 11).planes, bits.planes)
    check(bits.planes_at(4, 4), np.zeros((5, 13), np.uint64))
    check(Bits.stack_planes([bits.planes_at(0, 7), bits.planes_at(7, 7), bits.planes_at(7, 20)]), x)
    for n in (0, 1, 19, 20, 33):
        check(bits.shift_left(n), x << np.uint64(n) & np.uint64(2**20 - 1))
        check(bits.shift_right(n), x >> np.uint64(n))
    with pytest.raises(ValueError, match="shift by -1"):
        bits.shift_left(-1)
    with pytest.raises(ValueError, match=r"bits 3..21 of a width of 20"):
        bits.planes_at(3, 21)
    with pytest.raises(ValueError, match=r"\(5, 13\) and \(65,\)"):
        Bits.stack_planes([bits, bits.reshape((65,))])


def test_reshape_is_free() -> None:
    bits, x = both((6, 35), 3)
    for shape in [(210,), (35, 6), (-1, 7), (2, 3, 5, 7), (1, 210, 1)]:
        check(bits.reshape(shape), x.reshape(shape))
        assert bits.reshape(shape).planes is bits.planes
    check(Bits.zeros((0, 3)).reshape((5, 0)), np.zeros((5, 0), np.uint64))
    for bad in [(211,), (-1, -1), (-1, 4), (0, -1)]:
        with pytest.raises(ValueError, match="cannot reshape"):
            bits.reshape(bad)


def test_errors() -> None:
    bits, _ = both((3, 4), 2)
    with pytest.raises(ValueError, match=r"shape=\(3, 4\), width=2.*shape=\(4, 3\)"):
        bits ^ bits.reshape((4, 3))
    with pytest.raises(ValueError, match="width=1"):
        bits & bits.planes_at(0, 1)
    with pytest.raises(ValueError, match="do not hold"):
        Bits(bits.planes, (65,))
    with pytest.raises(ValueError, match="booleans"):
        Bits.from_bool(np.zeros(3))
    for call in (
        lambda: bits.transpose((0, 0)),
        lambda: bits.slice((0, 0), (3, 5)),
        lambda: bits.slice((0, 0), (3, 4), (0, 1)),
        lambda: bits.slice((0,), (3,)),
        lambda: bits.reverse((2,)),
        lambda: bits.broadcast_in_dim((3, 5), (0, 1)),
        lambda: bits.broadcast_in_dim((3, 4), (0, 0)),
        lambda: bits.broadcast_to((4,)),
        lambda: Bits.concat([bits, bits.reshape((4, 3))], 0),
        lambda: Bits.concat([bits, bits.planes_at(0, 1)], 0),
        lambda: bits.pad((-4, 0), (0, 0)),
        lambda: bits.pad((0, 0), (0, 0), (-1, 0)),
        lambda: bits.take(np.array([12])),
        lambda: bits.take(np.array([-2])),
        lambda: ring.bits_move(bits.planes, 12, 0, np.zeros((2, 1), np.uint64), 12, 1, [(12, 1, 1)]),
        lambda: ring.bits_move(bits.planes, 12, 0, np.zeros((2, 1), np.uint64), 12, 11, [(13, 1, -1)]),
        lambda: ring.bits_move(bits.planes, 12, 0, np.zeros((1, 1), np.uint64), 12, 0, [(12, 1, 1)]),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError, match="int64"):
        bits.take(np.array([0], np.int32))


shapes = st.lists(st.integers(0, 9) | st.sampled_from([1, 63, 64, 65, 130]), min_size=0, max_size=4).filter(
    lambda s: int(np.prod(s)) <= 20_000
)
cases = st.tuples(shapes.map(tuple), st.sampled_from(WIDTHS), st.integers(0, 3), st.sampled_from(BACKENDS))


def on_any_backend(test: Callable[..., None]) -> Callable[..., None]:
    """Draw a shape, a width and a backend; hand the test the same elements as `Bits` and in NumPy."""

    @settings(max_examples=120, deadline=None)
    @given(cases, st.data())
    def run(case: tuple[tuple[int, ...], int, int, str], data: st.DataObject) -> None:
        shape, width, seed, name = case
        before = ring.backend()
        try:
            ring.set_backend(name)
        except ValueError:
            return
        try:
            test(*both(shape, width, seed), data)
        finally:
            ring.set_backend(before)

    run.__name__ = test.__name__
    return run


@on_any_backend
def test_transpose(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    axes = data.draw(st.permutations(range(x.ndim)))
    check(bits.transpose(axes), x.transpose(axes))
    check(bits.transpose(), x.T)
    if x.ndim:
        check(bits.transpose([a - x.ndim for a in axes]), x.transpose(axes))


@on_any_backend
def test_slice(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    starts = [data.draw(st.integers(0, n)) for n in x.shape]
    limits = [data.draw(st.integers(a, n)) for a, n in zip(starts, x.shape, strict=True)]
    strides = [data.draw(st.integers(1, 4)) for _ in x.shape]
    index = tuple(slice(a, b, s) for a, b, s in zip(starts, limits, strides, strict=True))
    check(bits.slice(starts, limits, strides), x[index] if index else x)
    index = tuple(slice(a, b) for a, b in zip(starts, limits, strict=True))
    check(bits.slice(starts, limits), x[index] if index else x)


@on_any_backend
def test_reverse(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    axes = [a for a in range(x.ndim) if data.draw(st.booleans())]
    check(bits.reverse(axes), np.flip(x, axes))


@on_any_backend
def test_broadcast(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    ndim = x.ndim + data.draw(st.integers(0, 2))
    dims = data.draw(st.permutations(range(ndim)))[: x.ndim]
    shape = [data.draw(st.sampled_from([0, 1, 2, 3, 65])) for _ in range(ndim)]
    for d, n in zip(dims, x.shape, strict=True):
        shape[d] = n if n != 1 else shape[d]
    if int(np.prod(shape)) > 50_000:
        return
    order = np.argsort(dims) if x.ndim else []
    placed = [1] * ndim
    for d, n in zip(dims, x.shape, strict=True):
        placed[d] = n
    want = np.broadcast_to(x.transpose(order).reshape(placed), shape)
    check(bits.broadcast_in_dim(shape, dims), want)
    check(bits.broadcast_to((2, *x.shape)), np.broadcast_to(x, (2, *x.shape)))


@on_any_backend
def test_pad(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    lo = [data.draw(st.integers(-3, 5)) for _ in x.shape]
    hi = [data.draw(st.integers(-3, 5)) for _ in x.shape]
    gap = [data.draw(st.integers(0, 2)) for _ in x.shape]
    full = [n + max(n - 1, 0) * g for n, g in zip(x.shape, gap, strict=True)]
    shape = [n + a + b for n, a, b in zip(full, lo, hi, strict=True)]
    if min(shape, default=0) < 0 or int(np.prod([abs(n) for n in shape])) > 50_000:
        return
    spread = np.zeros(full, np.uint64)
    spread[tuple(slice(None, None, g + 1) for g in gap)] = x
    widened = np.pad(spread, [(max(a, 0), max(b, 0)) for a, b in zip(lo, hi, strict=True)]) if x.ndim else spread
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(lo, hi, widened.shape, strict=True))
    check(bits.pad(lo, hi, gap), widened[cut] if cut else widened)


@on_any_backend
def test_concat(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    if x.ndim == 0:
        return
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    parts, wants = [bits], [x]
    for seed in range(data.draw(st.integers(0, 3))):
        shape = list(x.shape)
        shape[axis] = data.draw(st.sampled_from([0, 1, 2, 64]))
        part, want = both(tuple(shape), bits.width, seed)
        parts.append(part)
        wants.append(want)
    check(Bits.concat(parts, axis), np.concatenate(wants, axis))


@on_any_backend
def test_take(bits: Bits, x: NDArray[Any], data: st.DataObject) -> None:
    shape = tuple(data.draw(st.sampled_from([(), (0,), (1,), (64,), (5, 13), (200,)])))
    rng = np.random.default_rng(data.draw(st.integers(0, 5)))
    index = rng.integers(-1, max(x.size, 0), size=shape, dtype=np.int64) if x.size else np.full(shape, -1, np.int64)
    index = np.asarray(index)
    want = np.append(x.ravel(), np.uint64(0))[index]
    check(bits.take(index), np.asarray(want))


def test_structure_at_size(backend: str) -> None:
    bits, x = both((300, 257), 3)
    check(bits.transpose(), x.T)
    wide, v = both((128, 64, 5), 40)
    for axes in [(1, 0, 2), (2, 1, 0), (0, 2, 1), (2, 0, 1)]:
        check(wide.transpose(axes), v.transpose(axes))
    check(wide.slice((3, 1, 0), (128, 64, 5), (2, 1, 1)), v[3::2, 1:])
    check(wide.reverse((0, 2)), v[::-1, :, ::-1])
    order = np.random.default_rng(1).permutation(v.size)
    check(wide.take(order), v.ravel()[order])


@pytest.mark.parametrize("n", SIZES)
def test_and_with_a_share_of_zero(backend: str, n: int) -> None:
    plus, minus = KEYS
    for width in (1, 5, 64):
        x0, x1, y0, y1 = (Bits.from_ring(words((n,), width, s), width).planes for s in range(4))
        p, m = ring.bits_stream(plus, width, n), ring.bits_stream(minus, width, n)
        raw = prf.fill(plus, x0.shape, np.uint64)
        if n % 64 and n:
            raw[:, -1] &= np.uint64(2 ** (n % 64) - 1)
        np.testing.assert_array_equal(p, raw)
        zero = p ^ m
        np.testing.assert_array_equal(ring.bits_zero(width, n, plus, minus), zero)
        want = (x0 & y0) ^ (x0 & y1) ^ (x1 & y0) ^ zero
        np.testing.assert_array_equal(ring.bits_cross(x0, x1, y0, y1, plus, minus, n), want)
        target = y0.copy()
        ring.bits_cross(x0, x1, target, y1, plus, minus, n, out=target)
        np.testing.assert_array_equal(target, want)


def test_an_and_with_a_share_of_zero_that_spans_threads() -> None:
    n, width = 200_003, 64
    x0, x1, y0, y1 = (Bits.from_ring(words((n,), width, s), width).planes for s in range(4))
    zero = ring.bits_stream(KEYS[0], width, n) ^ ring.bits_stream(KEYS[1], width, n)
    want = (x0 & y0) ^ (x0 & y1) ^ (x1 & y0) ^ zero
    np.testing.assert_array_equal(ring.bits_cross(x0, x1, y0, y1, *KEYS, n), want)
