"""The bindings of the protocol kernels: what they refuse. What they compute is tested through the protocols."""

from __future__ import annotations

import numpy as np
import pytest

from argot._core import mpc, ring

KEY = bytes(16)
DTYPES = [np.dtype(np.uint32), np.dtype(np.uint64), ring.Z128]


def numbers(n: int, dtype: np.dtype = DTYPES[1]) -> np.ndarray:
    return np.frombuffer(np.random.default_rng(n).bytes(n * dtype.itemsize), dtype)


def planes(rows: int, words: int = 2) -> np.ndarray:
    return np.zeros((rows, words), np.uint64)


def jobs(*rows: tuple[int, ...]) -> np.ndarray:
    return np.array(rows, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("bits", [1, 5, 18, 32])
def test_packed_numbers_come_back(dtype, n, bits):
    x = numbers(n, dtype)
    packed = mpc.pack(x, bits)
    assert packed.nbytes == -(-n * bits // 8)
    out = np.zeros(n, dtype)
    mpc.unpack(packed, bits, out)
    wide, back = (ring.cast(v, np.uint64) for v in (x, out))
    assert (wide & np.uint64(2**bits - 1) == back).all()


def test_packing_refuses_what_does_not_fit():
    x = numbers(9)
    for bits in (0, 65):
        with pytest.raises(ValueError, match="bits"):
            mpc.pack(x, bits)
    with pytest.raises(ValueError, match="elements"):
        mpc.unpack(mpc.pack(x, 18), 18, np.zeros(10, np.uint64))
    with pytest.raises(ValueError, match="read-only"):
        mpc.unpack(mpc.pack(x, 18), 18, x)
    with pytest.raises(TypeError, match="bytes"):
        mpc.pack(np.zeros(4, np.uint16), 3)


@pytest.mark.parametrize("d", [0, 63, 200])
def test_truncation_refuses_digits_that_are_not_there(d):
    x = numbers(4)
    calls = [
        lambda: mpc.trunc_first(x, d, KEY, KEY, KEY, KEY),
        lambda: mpc.trunc_meet(x, None, d, KEY, drawn=(KEY, KEY)),
        lambda: mpc.trunc_last(x.copy(), np.zeros(9, np.uint8), np.zeros(9, np.uint8), d),
        lambda: mpc.trunc_deal(planes(1, 1), planes(1, 1), x, d, KEY),
        lambda: mpc.trunc_half(x, None, d, planes(1, 1), planes(1, 1), planes(1, 1), KEY, key=KEY),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="bits to drop"):
            call()


def test_truncation_refuses_other_sizes_and_keys():
    x, packed = numbers(8), np.zeros(18, np.uint8)
    for call in (
        lambda: mpc.trunc_first(x, 18, KEY, KEY, KEY, b"short"),
        lambda: mpc.trunc_meet(x, x[:7].copy(), 18, KEY, drawn=(KEY, KEY)),
        lambda: mpc.trunc_meet(x, x, 18, KEY, received=(x, packed[1:])),
        lambda: mpc.trunc_meet(x, x, 18, KEY),
        lambda: mpc.trunc_meet(x[::2], None, 18, KEY, drawn=(KEY, KEY)),
        lambda: mpc.trunc_last(x.copy(), packed, packed[1:], 18),
        lambda: mpc.trunc_half(x, None, 18, planes(1), planes(1, 1), planes(1, 1), KEY, key=KEY),
        lambda: mpc.trunc_units(x, x[1:], False),
    ):
        with pytest.raises(ValueError):
            call()


def test_jobs_that_reach_beyond_their_planes_are_refused():
    m, many = planes(4), planes(60)
    for call in (
        lambda: mpc.leaf_products(m, jobs((2, 3, 1, 1, 0)), many),
        lambda: mpc.leaf_products(m, jobs((0, 4, 1, 1, 0)), many),
        lambda: mpc.leaf_products(m, jobs((-1, 1, 1, 1, 0)), many),
        lambda: mpc.leaf_products(m, jobs((0, 3, 1, 1, 0)), planes(6)),
        lambda: mpc.leaf_products(m, jobs((0, 3, 1, 1, 0)), planes(7, 3)),
        lambda: mpc.leaf_products(m, jobs((0, 3, 1)), many),
        lambda: mpc.leaf_join(planes(6), m, jobs((0, 3, 1, 1, 0)), True, many),
        lambda: mpc.leaf_join(planes(7), m, jobs((0, 3, 1, 1, 1)), True, planes(3)),
        lambda: mpc.node_products(m, m, jobs((0, 1, -1, -1, 2, 4)), many),
        lambda: mpc.node_products(m, m, jobs((0, 1, -1, 3, 2, -1)), many),
        lambda: mpc.node_products(m, m, jobs((-1, 1, -1, -1, -1, -1)), many),
        lambda: mpc.node_join(planes(0), m, m, jobs((0, 1, -1, -1, 2, 3)), True, many),
        lambda: mpc.inner_products(m, m, m, jobs((3, 0, 0)), many),
        lambda: mpc.inner_products(m, m, m, jobs((0, 0, 4)), many),
        lambda: mpc.inner_join(planes(5), many, m, m, m, jobs((0, 0, 0)), True, many),
    ):
        with pytest.raises(ValueError):
            call()


def test_bits_times_numbers_refuse_other_sizes():
    x, bit = numbers(70), planes(1, 2)
    for call in (
        lambda: mpc.select_split(bit, planes(1, 1), x, x, KEY, KEY),
        lambda: mpc.select_split(bit, bit, x, x[1:], KEY, KEY),
        lambda: mpc.select_join(bit, x, None, x[1:], KEY, drawn=(KEY, KEY)),
        lambda: mpc.select_join(bit, x, None, x, KEY),
        lambda: mpc.compose_split(planes(65), x, KEY),
        lambda: mpc.compose_split(planes(3, 1), x, KEY),
        lambda: mpc.compose_join(planes(3), x.copy(), True, received=np.zeros(9, np.uint8)),
    ):
        with pytest.raises(ValueError):
            call()


def test_a_result_never_lies_over_an_input():
    n = 4096
    whole, key = np.arange(2 * n, dtype=np.uint64), bytes(16)
    x, plane = whole[:n], np.zeros((1, n // 64), np.uint64)
    fresh, _ = mpc.trunc_half(x, None, 18, plane, plane, plane, key, key)
    placed, _ = mpc.trunc_half(x, None, 18, plane, plane, plane, key, key, out=whole[n:])
    assert (placed == fresh).all() and np.shares_memory(placed, whole)
    for out in (x, whole[n // 2 : n // 2 + n]):
        with pytest.raises(ValueError, match="shares memory"):
            mpc.trunc_half(x, None, 18, plane, plane, plane, key, key, out=out)
    for out in (np.zeros((64, 64), np.uint64), np.zeros(n, np.uint32), np.zeros(2 * n, np.uint64)[::2]):
        with pytest.raises(ValueError, match="out"):
            mpc.trunc_half(x, None, 18, plane, plane, plane, key, key, out=out)
