"""Dimension numbers of gather, scatter, pad, dot_general and slices: random ones, against NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.mpc.bits import Bits
from argot.vm import ops
from argot.vm.conformance import on_plain
from argot.vm.ir import PUBLIC, SECRET, TensorType
from argot.vm.lower import Spec, trace

RELAXED = settings(max_examples=60, deadline=None)
PLACES = st.sampled_from([SECRET, PUBLIC])


def shape(draw, rank, low=0, high=5):
    return tuple(draw(st.integers(low, high)) for _ in range(rank))


def array(draw, dims, dtype):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype == "bool":
        return rng.integers(0, 2, dims).astype(bool)
    return rng.integers(-99, 99, dims).astype(dtype)


def runs(fn, arrays, visibility=SECRET, public=()):
    specs = [Spec(a.shape, a.dtype.name, PUBLIC if i in public else visibility) for i, a in enumerate(arrays)]
    return on_plain(trace(fn, specs).program, arrays)[0]


DTYPES = st.sampled_from(["float64", "int32", "bool"])


@RELAXED
@given(st.data())
def test_dot_general(data):
    """Any batch and contracted axes in any order, against einsum."""
    batch, inner, left, right = (data.draw(st.integers(0, 2)) for _ in range(4))
    names = iter("abcdefghij")
    b, c, f, g = ([next(names) for _ in range(n)] for n in (batch, inner, left, right))
    sizes = {n: data.draw(st.integers(1, 4)) for n in (*b, *c, *f, *g)}
    x_axes = data.draw(st.permutations([*b, *c, *f]))
    y_axes = data.draw(st.permutations([*b, *c, *g]))
    x = array(data.draw, tuple(sizes[n] for n in x_axes), "float64")
    y = array(data.draw, tuple(sizes[n] for n in y_axes), "float64")
    numbers = (
        (tuple(map(x_axes.index, c)), tuple(map(y_axes.index, c))),
        (tuple(map(x_axes.index, b)), tuple(map(y_axes.index, b))),
    )
    found = runs(lambda u, v: jax.lax.dot_general(u, v, numbers), [x, y], data.draw(PLACES))
    free = [n for n in x_axes if n in f] + [n for n in y_axes if n in g]
    wanted = np.einsum(f"{''.join(x_axes)},{''.join(y_axes)}->{''.join([*b, *free])}", x, y)
    np.testing.assert_array_equal(found, wanted)


@RELAXED
@given(st.data())
def test_pad(data):
    """Low, high and interior padding of any sign, against an element-by-element definition."""
    rank = data.draw(st.integers(0, 3))
    x = array(data.draw, shape(data.draw, rank), data.draw(DTYPES))
    config = []
    for n in x.shape:
        inner = data.draw(st.integers(0, 2))
        length = n + max(n - 1, 0) * inner
        low = data.draw(st.integers(-length, 3))
        config.append((low, data.draw(st.integers(-(length + low), 3)), inner))
    fill = np.array(data.draw(st.integers(0, 1))).astype(x.dtype)
    found = runs(lambda v: jax.lax.pad(v, fill, config), [x], data.draw(PLACES))
    lengths = [a + n + max(n - 1, 0) * i + b for n, (a, b, i) in zip(x.shape, config, strict=True)]
    wanted = np.full(lengths, fill)
    for index in np.ndindex(*x.shape):
        place = [a + p * (i + 1) for p, (a, _, i) in zip(index, config, strict=True)]
        if all(0 <= p < n for p, n in zip(place, lengths, strict=True)):
            wanted[tuple(place)] = x[index]
    np.testing.assert_array_equal(found, wanted)


@RELAXED
@given(st.data())
def test_gather_by_numpy_indexing(data):
    """x[i, :, j] with index arrays, slices and integers anywhere, in and out of range as NumPy wraps."""
    rank = data.draw(st.integers(1, 3))
    x = array(data.draw, shape(data.draw, rank, low=1), data.draw(DTYPES))
    common = shape(data.draw, data.draw(st.integers(0, 2)), low=1, high=3)
    index, arrays = [], []
    for n in x.shape:
        kind = data.draw(st.sampled_from(["array", "slice", "integer"]))
        if kind == "array":
            index.append(None)
            rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
            arrays.append(rng.integers(-n, n, common))
        elif kind == "slice":
            index.append(
                slice(data.draw(st.integers(0, n)), data.draw(st.integers(0, n)), data.draw(st.integers(1, 2)))
            )
        else:
            index.append(data.draw(st.integers(-n, n - 1)))

    def fn(v, *given):
        rest = iter(given)
        return v[tuple(next(rest) if i is None else i for i in index)]

    found = runs(fn, [x, *arrays], data.draw(PLACES), public=range(1, 9))
    np.testing.assert_array_equal(found, fn(x, *arrays))


@RELAXED
@given(st.data())
def test_scatter_by_numpy_indexing(data):
    """x.at[i].set, .add: the same places as NumPy's; repeated ones are added."""
    rank = data.draw(st.integers(1, 3))
    x = array(data.draw, shape(data.draw, rank, low=1), data.draw(st.sampled_from(["float64", "int32"])))
    n, common = x.shape[0], shape(data.draw, 1, low=1, high=6)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    index = rng.integers(-n, n, common)
    updates = array(data.draw, (*common, *x.shape[1:]), x.dtype.name)
    visibility = data.draw(PLACES)
    wanted = x.copy()
    np.add.at(wanted, index, updates)
    np.testing.assert_array_equal(runs(lambda v, u, i: v.at[i].add(u), [x, updates, index], visibility, {2}), wanted)
    once, where = np.unique(index % n, return_index=True)
    wanted = x.copy()
    wanted[once] = updates[where]
    found = runs(lambda v, u, i: v.at[i].set(u), [x, updates[where], once], visibility, {2})
    np.testing.assert_array_equal(found, wanted)


@RELAXED
@given(st.data())
def test_out_of_range_indices(data):
    """Moved inside, filled or dropped, as the mode says: like JAX."""
    x = array(data.draw, (4, 3), "float64")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    index = rng.integers(-9, 9, 5)
    mode = data.draw(st.sampled_from(["clip", "fill", "drop"]))
    reads = "fill" if mode == "drop" else mode

    def read(v, i):
        return v.at[i].get(mode=reads, fill_value=5.0)

    def write(v, i):
        return v.at[i].add(2.0, mode=mode)

    with jax.enable_x64(True):
        wanted = [np.asarray(fn(jnp.asarray(x), jnp.asarray(index))) for fn in (read, write)]
    for fn, expected in zip((read, write), wanted, strict=True):
        np.testing.assert_array_equal(runs(fn, [x, index], public={1}), expected)


@RELAXED
@given(st.data())
def test_moves_of_numbers_and_of_bits_agree(data):
    """Every structural operation on bit-sliced booleans is the one on arrays."""
    rank = data.draw(st.integers(1, 3))
    x = array(data.draw, shape(data.draw, rank, high=9), "bool")
    name = data.draw(st.sampled_from(["transpose", "slice", "reverse", "pad", "broadcast", "reshape"]))
    starts = tuple(data.draw(st.integers(0, n)) for n in x.shape)
    attrs = {
        "transpose": {"axes": tuple(data.draw(st.permutations(range(rank))))},
        "slice": {
            "starts": starts,
            "limits": tuple(data.draw(st.integers(a, n)) for a, n in zip(starts, x.shape, strict=True)),
            "strides": tuple(data.draw(st.integers(1, 3)) for _ in starts),
        },
        "reverse": {"axes": tuple(sorted(data.draw(st.sets(st.integers(0, rank - 1)))))},
        "pad": {k: tuple(data.draw(st.integers(0, 3)) for _ in starts) for k in ("low", "high", "interior")},
        "broadcast": {"shape": (2, *x.shape), "dims": tuple(range(1, rank + 1))},
        "reshape": {"shape": (x.size,)},
    }[name]
    op = ops.find(name)
    wanted = op.clear(x, **attrs)
    assert wanted.shape == op.infer(TensorType("bool", x.shape), **attrs).shape
    np.testing.assert_array_equal(op.bits(Bits.from_bool(x), **attrs).to_bool(), wanted)


@RELAXED
@given(st.data())
def test_reductions_and_running_sums(data):
    rank = data.draw(st.integers(1, 3))
    x = array(data.draw, shape(data.draw, rank, low=1), "float64")
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, rank - 1)))))
    visibility = data.draw(PLACES)
    for fn in (np.sum, np.max, np.min):
        theirs = getattr(jnp, fn.__name__)
        np.testing.assert_array_equal(runs(lambda v, f=theirs: f(v, axes), [x], visibility), fn(x, axes))
    axis = data.draw(st.integers(0, rank - 1))
    np.testing.assert_array_equal(runs(lambda v: jnp.cumsum(v, axis), [x], visibility), np.cumsum(x, axis))
    np.testing.assert_array_equal(runs(lambda v: jnp.argmax(v, axis), [x], visibility), np.argmax(x, axis))
