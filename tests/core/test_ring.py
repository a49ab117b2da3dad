"""The ring kernels against NumPy and Python integers, on every backend of this processor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argot._core import prf, ring

Z128 = np.dtype(ring.Z128)
RINGS = [np.dtype(np.uint32), np.dtype(np.uint64), Z128]
IDS = ["u32", "u64", "u128"]
BACKENDS = ["avx512", "avx2", "portable"]
SIZES = [0, 1, 3, 63, 64, 65, 1000]
LARGE = 1_100_001
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


def bits_of(dtype: np.dtype) -> int:
    return dtype.itemsize * 8


def make(values: object, dtype: np.dtype) -> NDArray:
    """Python integers, in an object array, mod 2^k."""
    found = np.asarray(values, dtype=object)
    if dtype == Z128:
        out = np.zeros(found.shape, Z128)
        flat = [(int(v) & (2**64 - 1), int(v) >> 64 & (2**64 - 1)) for v in found.ravel()]
        out.reshape(-1)[:] = flat
        return out
    return np.array([int(v) % 2 ** bits_of(dtype) for v in found.ravel()], dtype).reshape(found.shape)


def ints(x: NDArray) -> NDArray:
    """Ring elements as Python integers in an object array."""
    if x.dtype == Z128:
        return np.asarray(x["lo"].astype(object) + (x["hi"].astype(object) << 64), object)
    return x.astype(object)


def random(dtype: np.dtype, shape: object, seed: int = 0) -> NDArray:
    key = prf.hash(repr((str(dtype), shape, seed)).encode())[:16]
    return prf.fill(key, shape, dtype)


def signed(v: NDArray, k: int) -> NDArray:
    return np.where(v >= 2 ** (k - 1), v - 2**k, v)


def same(got: NDArray, want: object, dtype: np.dtype) -> None:
    assert isinstance(got, np.ndarray) and got.dtype == dtype
    wanted = make(want, dtype)
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "and_": lambda x, y: x & y,
    "or_": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
}


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
@pytest.mark.parametrize("name", BINARY)
def test_binary(backend: str, name: str, dtype: np.dtype) -> None:
    fn, want = getattr(ring, name), BINARY[name]
    for n in SIZES:
        x, y = random(dtype, n, 1), random(dtype, n, 2)
        same(fn(x, y), want(ints(x), ints(y)), dtype)
        s = random(dtype, (), 3)
        same(fn(x, s), want(ints(x), ints(s)[()]), dtype)
        same(fn(s, x), want(ints(s)[()], ints(x)), dtype)
    x, y = random(dtype, (), 1), random(dtype, (), 2)
    assert fn(x, y).shape == ()
    same(fn(x, y), want(ints(x), ints(y)), dtype)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_binary_of_arrays_that_span_threads(dtype: np.dtype) -> None:
    x, y = random(dtype, LARGE, 1), random(dtype, LARGE, 2)
    if dtype == Z128:
        got = ring.add(x, y)
        low = x["lo"] + y["lo"]
        assert (got["lo"] == low).all()
        assert (got["hi"] == x["hi"] + y["hi"] + (low < x["lo"])).all()
        same(ring.mul(x, y)[::1001], ints(x[::1001]) * ints(y[::1001]), dtype)
    else:
        assert (ring.add(x, y) == x + y).all()
        assert (ring.sub(x, y) == x - y).all()
        assert (ring.mul(x, y) == x * y).all()


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_out_and_overlap(backend: str, dtype: np.dtype) -> None:
    x, y = random(dtype, 1000, 1), random(dtype, 1000, 2)
    for name, want in BINARY.items():
        fn, wanted = getattr(ring, name), make(want(ints(x), ints(y)), dtype)
        out = np.empty_like(x)
        assert fn(x, y, out=out) is out
        np.testing.assert_array_equal(out, wanted)
        for target in (0, 1):
            operands = [x.copy(), y.copy()]
            fn(*operands, out=operands[target])
            np.testing.assert_array_equal(operands[target], wanted)
    base = random(dtype, 1001, 3)
    want = BINARY["sub"](ints(base[:-1]), ints(base[1:]))
    same(ring.sub(base[:-1], base[1:], out=base[1:]), want, dtype)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_non_contiguous_and_unaligned(dtype: np.dtype) -> None:
    x = random(dtype, (7, 9), 1)
    assert not x.T.flags.c_contiguous
    same(ring.add(x.T, x.T), 2 * ints(x.T), dtype)
    same(ring.neg(x[::2, ::-3]), -ints(x[::2, ::-3]), dtype)
    raw = bytearray(1 + 10 * dtype.itemsize)
    unaligned = np.frombuffer(raw, dtype, count=10, offset=1)
    unaligned[:] = random(dtype, 10, 4)
    same(ring.add(unaligned, unaligned), 2 * ints(unaligned), dtype)
    same(ring.sum(x.T, (0,)), ints(x).sum(axis=1), dtype)
    with pytest.raises(ValueError, match="contiguous"):
        ring.add(x, x, out=np.empty((9, 7), dtype).T)
    if dtype != Z128:
        swapped = x.astype(dtype.newbyteorder(">"))
        with pytest.raises(TypeError, match=">u"):
            ring.add(swapped, x)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_unary_and_shifts(backend: str, dtype: np.dtype) -> None:
    k = bits_of(dtype)
    for n in SIZES:
        x = random(dtype, n)
        v = ints(x)
        same(ring.neg(x), -v, dtype)
        same(ring.invert(x), ~v, dtype)
        for d in (0, 1, 18, k - 1, k, k + 7):
            same(ring.shl(x, d), v << d, dtype)
            same(ring.shr(x, d), v >> d, dtype)
            same(ring.sar(x, d), signed(v, k) >> d, dtype)
    same(ring.neg(random(dtype, ())), -ints(random(dtype, ())), dtype)


def test_errors() -> None:
    x, y = np.zeros((2, 3), np.uint64), np.zeros((3, 2), np.uint64)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        ring.add(x, y)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\)"):
        ring.matmul(x, x)
    with pytest.raises(TypeError, match="uint64 and uint32"):
        ring.add(x, x.astype(np.uint32))
    with pytest.raises(TypeError, match="int64"):
        ring.neg(x.astype(np.int64))
    with pytest.raises(ValueError, match=r"out has shape \(3, 2\)"):
        ring.add(x, x, out=y)
    frozen = x.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        ring.add(x, x, out=frozen)
    with pytest.raises(ValueError, match="key has 3 bytes, wanted 16"):
        ring.add_stream(x, b"abc")
    with pytest.raises(ValueError, match='no backend "sse"; there are avx512, avx2, portable'):
        ring.set_backend("sse")
    with pytest.raises(ValueError, match="axis 2 of an array of 2 dimensions"):
        ring.sum(x, 2)
    with pytest.raises(ValueError, match="twice"):
        ring.sum(x, (0, -2))


INTEGERS = [np.dtype(t) for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "?")] + [Z128]


def test_cast(backend: str) -> None:
    for source, target, sign in product(INTEGERS, INTEGERS, (False, True)):
        raw = random(np.dtype(np.uint8), 65 * source.itemsize, 5)
        x = raw.astype(bool)[:65] if source.kind == "b" else raw.view(source)
        k = 1 if source.kind == "b" else bits_of(source)
        v = ints(x.view(f"u{source.itemsize}") if source.kind in "iu" else x)
        if (sign or source.kind == "i") and source.kind != "b":
            v = signed(v, k)
        got = ring.cast(x, target, signed=sign)
        assert got.dtype == target
        if target.kind == "b":
            assert (got == (v % 2 == 1)).all()
        else:
            unsigned = got.view(f"u{target.itemsize}") if target.kind in "iu" else got
            same(unsigned, v, unsigned.dtype)
    assert ring.cast(np.array(-1), np.uint64).shape == ()
    with pytest.raises(TypeError, match="float64"):
        ring.cast(np.zeros(3), np.uint64)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_sum_and_cumsum(backend: str, dtype: np.dtype) -> None:
    shapes = [(), (0,), (1,), (65,), (3, 0, 2), (4, 5), (3, 4, 5), (2, 3, 4, 5)]
    for shape in shapes:
        x = random(dtype, shape)
        v = ints(x)
        for picked in product((False, True), repeat=len(shape)):
            axes = tuple(a for a, p in enumerate(picked) if p)
            for keep in (False, True):
                want = np.add.reduce(v, axes, keepdims=keep, initial=0) if axes else v
                same(ring.sum(x, axes, keep), want, dtype)
        same(ring.sum(x), sum(v.ravel().tolist()), dtype)
        for axis in range(-len(shape), len(shape)):
            same(ring.cumsum(x, axis), np.cumsum(v, axis) if v.size else v, dtype)


def test_sums_that_span_threads() -> None:
    x = random(np.dtype(np.uint64), (700, 1000))
    for axis in (None, 0, 1):
        assert (ring.sum(x, axis) == x.sum(axis)).all()
    long = x.reshape(7, 100_000)
    assert (ring.sum(long, 1) == long.sum(1)).all()
    assert (ring.sum(long.T.copy(), 0) == long.sum(1)).all()


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_matmul(backend: str, dtype: np.dtype) -> None:
    sizes = [0, 1, 2, 5, 8, 9, 17, 25]
    rng = np.random.default_rng(3)
    cases = [tuple(rng.choice(sizes, 3)) for _ in range(40)] + [(70, 3, 33), (3, 300, 50), (1, 513, 1)]
    for m, k, n in cases:
        x, y = random(dtype, (m, k), 1), random(dtype, (k, n), 2)
        want = np.dot(ints(x), ints(y)) if k else np.zeros((m, n), object)
        same(ring.matmul(x, y), want, dtype)
    x, y = random(dtype, (2, 3, 4, 5), 1), random(dtype, (2, 3, 5, 6), 2)
    same(ring.matmul(x, y), ints(x) @ ints(y), dtype)
    same(ring.matmul(x, y.swapaxes(2, 3).copy().swapaxes(2, 3)), ints(x) @ ints(y), dtype)
    for m, k, n in product([1, 2, 3, 4, 5, 30], repeat=3):
        x, y = random(dtype, (m, k), 1), random(dtype, (k, n), 2)
        want = ring.matmul(x, y)
        same(want, ints(x) @ ints(y), dtype)
        xt, yt = x.T.copy().T, y.T.copy().T
        for left, right in [(xt, y), (x, yt), (xt, yt)]:
            np.testing.assert_array_equal(ring.matmul(left, right), want)
            np.testing.assert_array_equal(ring.cross_matmul(x, left, right, y), ring.mul(want, make(3, dtype)))
    square = random(dtype, (12, 12), 3)
    same(ring.matmul(square, square.T), ints(square) @ ints(square).T, dtype)
    want = ints(square) @ ints(square)
    same(ring.matmul(square, square, out=square), want, dtype)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 150), st.integers(0, 600), st.integers(0, 150), st.sampled_from(BACKENDS))
def test_matmul_of_any_size(m: int, k: int, n: int, backend: str) -> None:
    before = ring.backend()
    try:
        ring.set_backend(backend)
    except ValueError:
        return
    try:
        for dtype in (np.uint32, np.uint64):
            x, y = random(np.dtype(dtype), (m, k), 1), random(np.dtype(dtype), (k, n), 2)
            assert (ring.matmul(x, y) == x @ y).all()
    finally:
        ring.set_backend(before)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_matmul_of_large_matrices(backend: str, dtype: np.dtype) -> None:
    """Freivalds' check: (x y) v = x (y v)."""
    side = 200 if dtype == Z128 else 530
    x, y = random(dtype, (side, side + 3), 1), random(dtype, (side + 3, side - 1), 2)
    v = random(dtype, (side - 1, 1), 3)
    z = ring.matmul(x, y)
    np.testing.assert_array_equal(ints(z) @ ints(v) % 2 ** bits_of(dtype), ints(ring.matmul(x, ring.matmul(y, v))))


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_cross_matmul(backend: str, dtype: np.dtype) -> None:
    for shape, other in [((3, 4), (4, 5)), ((2, 9, 17), (2, 17, 30)), ((1, 0), (0, 2)), ((0, 3), (3, 2))]:
        x0, x1 = random(dtype, shape, 1), random(dtype, shape, 2)
        y0, y1 = random(dtype, other, 3), random(dtype, other, 4)
        want = ring.add(ring.matmul(x0, ring.add(y0, y1)), ring.matmul(x1, y0))
        np.testing.assert_array_equal(ring.cross_matmul(x0, x1, y0, y1), want)


WEIGHTS = [(2, 1, 2, 1), (1, -1, -2, 2), (0, -7, 3, 1)]


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
@pytest.mark.parametrize("x_transposed", [False, True])
@pytest.mark.parametrize("y_transposed", [False, True])
def test_weighted_matmul(backend: str, dtype: np.dtype, x_transposed: bool, y_transposed: bool) -> None:
    """In one piece, in pieces of several matrices, of rows and of columns of one."""
    shapes = [((3, 4), (4, 5)), ((2, 9, 17), (2, 17, 30)), ((1, 0), (0, 2)), ((0, 3), (3, 2)),
              ((7, 1, 100_000), (7, 100_000, 1)), ((2, 3, 300_000), (2, 300_000, 1)), ((300_000, 2), (2, 1)),
              ((1, 600_000), (600_000, 2))]  # fmt: skip

    def lie(x: np.ndarray, transposed: bool) -> np.ndarray:
        return x.swapaxes(-1, -2).copy().swapaxes(-1, -2) if transposed else x

    for i, (shape, other) in enumerate(shapes):
        weights = WEIGHTS[i % 3]
        x0, x1, y0, y1 = (random(dtype, s, i) for i, s in enumerate((shape, shape, other, other)))
        a, b, c, d = (np.array(w % 2**64, np.uint64) for w in weights)
        a, b, c, d = (ring.cast(w, dtype, signed=True) for w in (a, b, c, d))
        x = ring.add(ring.mul(x0, a), ring.mul(x1, b))
        y = ring.add(ring.mul(y0, c), ring.mul(y1, d))
        laid = (lie(x0, x_transposed), lie(x1, x_transposed), lie(y0, y_transposed), lie(y1, y_transposed))
        np.testing.assert_array_equal(ring.weighted_matmul(*laid, weights), ring.matmul(x, y))
        mixed = (x0, laid[1], laid[2], y1)
        np.testing.assert_array_equal(ring.weighted_matmul(*mixed, weights), ring.matmul(x, y))


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_weighted_matmul_of_large_matrices(backend: str, dtype: np.dtype) -> None:
    """Rows, and columns, in several pieces that are laid out in strips."""
    k = 2100 if dtype == Z128 else 3000
    for x_shape in ((530, k), (k, 530)):
        parts = [random(dtype, x_shape, i) for i in (1, 2)]
        x0, x1 = parts if x_shape[1] == k else [x.T for x in parts]
        y0, y1 = random(dtype, (k, 7), 3), random(dtype, (k, 7), 4)
        want = ring.matmul(ring.sub(x0, x1), ring.add(y0, y1))
        np.testing.assert_array_equal(ring.weighted_matmul(x0, x1, y0, y1, (1, -1, 1, 1)), want)


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
@pytest.mark.parametrize("n", [0, 1, 7, 63, 64, 65, 511, 513, 1025, 4096, 70_001])
def test_products_with_a_share_of_zero(backend: str, dtype: np.dtype, n: int) -> None:
    plus, minus = KEYS
    x0, x1, y0, y1 = (random(dtype, n, i) for i in range(4))
    p, m = prf.fill(plus, n, dtype), prf.fill(minus, n, dtype)
    zero = ring.sub(p, m)
    want = ring.add(ring.mul(x0, ring.add(y0, y1)), ring.mul(x1, y0))
    np.testing.assert_array_equal(ring.cross(x0, x1, y0, y1, plus, minus), ring.add(want, zero))
    want = ring.add(ring.mul(x0, x0), ring.shl(ring.mul(x0, x1), 1))
    np.testing.assert_array_equal(ring.square_cross(x0, x1, plus, minus), ring.add(want, zero))
    np.testing.assert_array_equal(ring.zero((n,), dtype, plus, minus), zero)
    np.testing.assert_array_equal(ring.add_stream(x0, plus), ring.add(x0, p))
    np.testing.assert_array_equal(ring.sub_stream(x0, minus), ring.sub(x0, m))
    np.testing.assert_array_equal(ring.add_stream(x1.copy(), plus, out=x1), ring.add(random(dtype, n, 1), p))


@pytest.mark.parametrize("dtype", RINGS, ids=IDS)
def test_a_product_with_a_share_of_zero_that_spans_threads(dtype: np.dtype) -> None:
    plus, minus = KEYS
    x0, x1, y0, y1 = (random(dtype, LARGE, i) for i in range(4))
    zero = ring.sub(prf.fill(plus, LARGE, dtype), prf.fill(minus, LARGE, dtype))
    want = ring.add(ring.add(ring.mul(x0, ring.add(y0, y1)), ring.mul(x1, y0)), zero)
    np.testing.assert_array_equal(ring.cross(x0, x1, y0, y1, plus, minus), want)
    out = y0.copy()
    ring.cross(x0, x1, out, y1, plus, minus, out=out)
    np.testing.assert_array_equal(out, want)
    assert ring.zero((), dtype, plus, minus).shape == ()


FORMATS = [(RINGS[0], 8), (RINGS[0], 0), (RINGS[1], 18), (RINGS[1], 8), (RINGS[1], 30), (Z128, 26), (Z128, 40)]


@pytest.mark.parametrize(("dtype", "f"), FORMATS)
def test_encode_and_decode(backend: str, dtype: np.dtype, f: int) -> None:
    k = bits_of(dtype)
    limit = 2.0 ** (k - 2 - 2 * f)
    assert ring.encode_limit(f, dtype) == limit
    rng = np.random.default_rng(2)
    x = np.concatenate(
        [
            rng.uniform(-1, 1, 500) * limit,
            rng.uniform(-4, 4, 500),
            (rng.integers(-1000, 1000, 500) + 0.5) / 2**f,
            np.array([0.0, -0.0, 2.0**-60, -(2.0**-60), np.nextafter(limit, 0), -np.nextafter(limit, 0)]),
        ]
    )
    x = x[np.abs(x) < limit]
    got = ring.encode(x, f, dtype)
    exact = [
        round(float(v).as_integer_ratio()[0] * 2**f / float(v).as_integer_ratio()[1])
        if abs(v) * 2**f >= 2**53
        else round(float(v) * 2.0**f)
        for v in x
    ]  # Python rounds ties to even
    same(got, exact, dtype)
    back = ring.decode(got, f)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, np.array([float(v) for v in exact]) / 2.0**f)
    assert ring.decode(ring.encode(-3, f, dtype), f)[()] == -3.0
    assert ring.encode(1.5, f, dtype).shape == ()


def test_decode_reads_every_word_as_signed(backend: str) -> None:
    for dtype in RINGS:
        k = bits_of(dtype)
        x = make([0, 1, 2 ** (k - 1) - 1, 2 ** (k - 1), 2**k - 1], dtype)
        assert ring.decode(x, 0).tolist() == [0.0, 1.0, float(2 ** (k - 1) - 1), -(2.0 ** (k - 1)), -1.0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "inf"), (2.0**26, "range"), (-(2.0**26), "range"), (1e300, "range")],
)
def test_encode_refuses(backend: str, value: float, kind: str) -> None:
    for n, at in [(1, 0), (100, 99), (600_000, 450_000)]:
        x = np.ones(n)
        x[at:] = value
        with pytest.raises(ValueError, match=f"element {at} ") as caught:
            ring.encode(x, 18, np.uint64)
        assert caught.value.index == at and caught.value.kind == kind
        assert not any(digit in str(caught.value).split("wanted")[0] for digit in ("67108864", "e+"))
    with pytest.raises(ValueError, match="40 fraction bits in a ring of 64 bits"):
        ring.encode(np.ones(1), 40, np.uint64)
    with pytest.raises(TypeError):
        ring.encode(np.ones(1, complex), 18, np.uint64)
    assert ring.decode(ring.encode(np.arange(3), 18, np.uint64), 18).tolist() == [0, 1, 2]


def test_kernels_run_in_several_threads_at_once() -> None:
    dtype = np.dtype(np.uint64)

    def work(seed: int) -> bool:
        x, y = random(dtype, (190, 200), seed), random(dtype, (200, 180), seed + 1)
        good = True
        for _ in range(5):
            z = ring.matmul(x, y)
            double = ring.cross_matmul(x, x, y, y)
            planes = ring.bits_from_ring(x, 64)
            good &= bool((z == x @ y).all() and (double == ring.mul(z, np.array(3, dtype))).all())
            good &= bool((ring.bits_to_ring(planes, x.shape, dtype) == x).all())
            good &= bool((ring.add(np.tile(x, (20, 1)), np.array(1, dtype)) == np.tile(x, (20, 1)) + 1).all())
        return good

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(8)))


def test_large_results_reuse_the_memory_of_dead_ones_only() -> None:
    x = random(np.dtype(np.uint64), 200_000, 1)
    first = ring.add(x, x)
    kept = first[::2]
    address = first.ctypes.data
    del first
    second = ring.add(x, x)
    assert second.ctypes.data != address, "a view still has it"
    want = kept.copy()
    ring.mul(x, x)
    np.testing.assert_array_equal(kept, want)
    del kept
    assert {ring.empty((200_000,), np.uint64).ctypes.data for _ in range(3)} == {address}


@pytest.mark.skipif(sys.platform != "linux", reason="memory in use is read from /proc")
def test_idle_memory_of_arrays_goes_back():
    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    ring.trim(0.0)  # what other tests left
    for _ in range(2):
        arrays = [prf.fill(KEYS[0], 1 << 20, np.uint64) for _ in range(2)]  # 16 MiB, all of it written
        full = resident()
        del arrays
        ring.trim(3600.0)  # arrays were in use just now: nothing happens
        assert resident() > full - (4 << 20)
        ring.trim(0.0)
        assert resident() < full - (12 << 20)
