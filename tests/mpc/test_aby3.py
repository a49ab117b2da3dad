"""ABY3 against Python's integers, over all rings, at the ends of every declared range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpc_worlds import corners, integers, ints, run, words

from argot.errors import InputError
from argot.mpc.aby3 import PART
from argot.mpc.bits import Bits
from argot.mpc.protocol import Bool, full
from argot.runtime import gather

RINGS = [32, 64, 128]
SIZES = [0, 1, 63, 64, 65, 130]


def operands(k: int, bits: int, n: int, seed: int = 0) -> list[int]:
    rng = np.random.default_rng([k, bits, n, seed])
    return (corners(bits) * (n // 10 + 1))[: n // 2] + integers(rng, bits, n - n // 2)


def wrap(value: int, k: int) -> int:
    return (value + 2 ** (k - 1)) % 2**k - 2 ** (k - 1)


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("owner", [0, 1, 2])
def test_what_is_shared_is_revealed_to_whom_it_should_be(k, owner, shape=(3, 5)):
    from argot.mpc.aby3 import Aby3
    from argot.runtime.world import World

    value = words(np.arange(15).reshape(shape) - 7, k)

    async def program(p):
        x = await p.share(value if p.party.rank == owner else None, owner, shape)
        return [await p.reveal_to(x, ranks) for ranks in ([0], [1, 2], [2])]

    results = World(lambda party: Aby3(party, ring=k), seed=3).run(program)
    for rank, (one, two, three) in enumerate(results):
        for got, ranks in ((one, [0]), (two, [1, 2]), (three, [2])):
            assert (got is not None) == (rank in ranks)
            assert got is None or (got == value).all()


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_products(k, n):
    x, y = operands(k, k, n, 1), operands(k, k, n, 2)

    async def all_of_them(p, x, y):
        return await gather(p.mul(x, y), p.square(x))

    product, square = run(all_of_them, words(x, k), words(y, k), k=k)
    assert ints(product) == [wrap(a * b, k) for a, b in zip(x, y, strict=True)]
    assert ints(square) == [wrap(a * a, k) for a in x]


@pytest.mark.parametrize("k", RINGS)
def test_a_product_with_one_number(k):
    x = operands(k, k, 20)
    got = run(lambda p, x, y: p.mul(x, y), words(x, k), words(np.array(7), k), k=k)
    assert ints(got) == [wrap(7 * a, k) for a in x]


@pytest.mark.parametrize("k", RINGS)
def test_local_operations(k):
    x, y = operands(k, k, 24, 1), operands(k, k, 24, 2)

    async def all_of_them(p, x, y):
        c = words(list(range(24)), k)
        m = words(np.arange(4 * 6).reshape(4, 6), k)
        return (
            p.add(x, y),
            p.sub(x, y),
            p.neg(x),
            p.add_public(x, c),
            p.add_public(x, -3),
            p.mul_public(x, -5),
            p.shl(x, 3),
            p.sum(x.reshape((4, 6)), (0,)),
            p.matmul_public(x.reshape((6, 4)), m),
            p.matmul_public(x.reshape((6, 4)), m, side="left"),
        )

    got = [ints(part) for part in run(all_of_them, words(x, k), words(y, k), k=k)]
    matrix = np.array(x, object).reshape(6, 4)
    other = np.arange(24).reshape(4, 6).astype(object)
    want = [
        [a + b for a, b in zip(x, y, strict=True)],
        [a - b for a, b in zip(x, y, strict=True)],
        [-a for a in x],
        [a + i for i, a in enumerate(x)],
        [a - 3 for a in x],
        [-5 * a for a in x],
        [8 * a for a in x],
        [sum(x[i::6]) for i in range(6)],
        list((matrix @ other).reshape(-1)),
        list((other @ matrix).reshape(-1)),
    ]
    assert got == [[wrap(v, k) for v in row] for row in want]


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("shapes", [((2, 3), (3, 4)), ((1, 1), (1, 1)), ((2, 5, 3), (2, 3, 2)), ((7, 0), (0, 2))])
def test_matrices(k, shapes):
    left, right = shapes
    x, y = operands(k, k, int(np.prod(left)), 1), operands(k, k, int(np.prod(right)), 2)
    got = run(lambda p, x, y: p.matmul(x, y), words(x, k, left), words(y, k, right), k=k)
    want = np.array(x, object).reshape(left) @ np.array(y, object).reshape(right)
    assert ints(got) == [wrap(int(v), k) for v in want.reshape(-1)]


# ---- truncation


def check_truncated(got: list[int], exact: list[int], d: int) -> list[int]:
    """The errors in the last place, which must be 0 or 1."""
    errors = [a - (b >> d) for a, b in zip(got, exact, strict=True)]
    assert set(errors) <= {0, 1}
    return errors


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_truncation_over_the_whole_range(k, n):
    for d in (1, k // 4 + 2, k // 2, k - 2):
        x = operands(k, k - 1, n, d)
        check_truncated(ints(run(lambda p, x, d=d: p.trunc(x, d), words(x, k), k=k)), x, d)


def test_truncation_of_a_million_values_at_the_ends_of_the_range():
    """Never off by more than one, up exactly as often as the digits dropped say: the exact functionality."""
    n, d = 1_000_000, 18
    rng = np.random.default_rng(5)
    offset = rng.integers(0, 1 << 20, n)
    x = np.where(np.arange(n) % 2 == 0, (1 << 62) - 1 - offset, -(1 << 62) + 1 + offset)
    got = run(lambda p, x: p.trunc(x, d), x.view(np.uint64)).view(np.int64)
    error = got - (x >> d)
    assert set(np.unique(error)) <= {0, 1}
    expected = (x & (2**d - 1)) / 2**d
    assert abs((error - expected).mean()) < 5 * 0.5 / np.sqrt(n)


@pytest.mark.parametrize("k", RINGS)
def test_truncation_has_no_drift_whatever_the_parts_are(k, n=1000):
    """Parts that all end in zeros, as after a product with a power of two: no digit is lost, nothing is rounded up."""
    d = k // 4 + 2
    x = operands(k, k - 2 - d, n, 9)

    async def scaled(p, x):
        return await p.trunc(p.mul_public(x, words([2**d] * n, k)), d)

    errors = check_truncated(ints(run(scaled, words(x, k), k=k)), [a * 2**d for a in x], d)
    assert sum(errors) <= 1 + n * 10 // 2**d  # each with probability 2^-d


@pytest.mark.parametrize("k", RINGS)
def test_fused_products_over_the_whole_range(k):
    f = k // 4 + 2
    half = (k - 2) // 2
    x = operands(k, half + 1, 200, 1)
    y = operands(k, k - 2 - half + 1, 200, 2)
    x += [2**half - 1, 1 - 2**half, 0, 1]
    y += [2 ** (k - 2 - half) - 1] * 4

    async def all_of_them(p, x, y):
        return await gather(
            p.mul_trunc(x, y, f), p.square_trunc(x, f), p.mul_trunc(x, y, 0), p.mul_public_trunc(x, 3, f)
        )

    product, square, plain, tripled = run(all_of_them, words(x, k), words(y, k), k=k)
    exact = [a * b for a, b in zip(x, y, strict=True)]
    check_truncated(ints(product), exact, f)
    check_truncated(ints(square), [a * a for a in x], f)
    assert ints(plain) == exact
    check_truncated(ints(tripled), [3 * a for a in x], f)


@pytest.mark.parametrize("k", RINGS)
def test_fused_matrices(k):
    f = k // 4 + 2
    x, y = operands(k, k // 2 - 4, 2 * 3 * 5, 1), operands(k, k // 2 - 4, 2 * 5 * 4, 2)
    got = run(lambda p, x, y: p.matmul_trunc(x, y, f), words(x, k, (2, 3, 5)), words(y, k, (2, 5, 4)), k=k)
    want = np.array(x, object).reshape(2, 3, 5) @ np.array(y, object).reshape(2, 5, 4)
    check_truncated(ints(got), [int(v) for v in want.reshape(-1)], f)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(RINGS))
def test_fused_matrices_up_to_the_limit(data, k):
    """Every output below 2^(k-3), of few columns 2^(k-2), and as many bits dropped as a protocol may ask for."""
    columns = data.draw(st.sampled_from([1, 7, 8]))
    limit = 2 ** (k - 2 - (columns == 8)) - 1
    d = data.draw(st.integers(1, k - 4))
    x = data.draw(st.lists(st.integers(-limit, limit), min_size=8, max_size=8))
    scale = data.draw(st.sampled_from([1, 1, 2**5, 2 ** (k // 2)]))
    x = [v // scale for v in x]
    y = words([scale] * columns, k, (1, columns))
    got = run(lambda p, x, y: p.matmul_trunc(x, y, d), words(x, k, (8, 1)), y, k=k)
    check_truncated(ints(got), [scale * v for v in x for _ in range(columns)], d)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(RINGS))
def test_truncation_anywhere(data, k):
    limit = 2 ** (k - 2) - 1
    d = data.draw(st.integers(1, k - 2))
    x = data.draw(st.lists(st.integers(-limit, limit), min_size=1, max_size=20))
    check_truncated(ints(run(lambda p, x: p.trunc(x, d), words(x, k), k=k)), x, d)


# ---- bits


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(RINGS))
def test_comparisons_and_choices_anywhere(data, k):
    """Whatever the bound, the values within it and the shape."""
    bound = data.draw(st.integers(2, k))
    limit = 2 ** (bound - 1) - 1
    gaps = data.draw(st.lists(st.integers(-limit, limit) | st.sampled_from([-limit, -1, 0, 1, limit]), max_size=70))
    y = [data.draw(st.integers(-(2 ** (k - 1)), 2 ** (k - 1) - 1)) for _ in gaps]
    x = [wrap(a + gap, k) for a, gap in zip(y, gaps, strict=True)]
    width = data.draw(st.integers(1, k))

    async def all_of_them(p, x, y):
        less, equal, word = await gather(p.less_than(x, y, bound), p.equal(x, y, bound), p.a2b(x, width))
        return less, equal, word, *await gather(p.select(less, x, y), p.b2a(word))

    less, equal, word, chosen, number = run(all_of_them, words(x, k), words(y, k), k=k)
    assert list(less.to_bool()) == [gap < 0 for gap in gaps]
    assert list(equal.to_bool()) == [gap == 0 for gap in gaps]
    assert ints(word.to_ring(number.dtype), signed=False) == [a % 2**width for a in x]
    assert ints(chosen) == [a if gap < 0 else b for a, b, gap in zip(x, y, gaps, strict=True)]
    assert ints(number, signed=False) == [a % 2**width for a in x]


@settings(max_examples=20, deadline=None)
@given(st.data(), st.sampled_from(RINGS))
def test_both_forms_of_fused_truncation_anywhere(data, k):
    """The form for large arrays, on small ones."""
    limit = 2 ** (k - 2) - 1
    d = data.draw(st.integers(1, k - 2))
    x = data.draw(st.lists(st.integers(-limit, limit), min_size=1, max_size=70))

    async def both(p, x):
        one = p.public(full(1, x.shape, x.dtype))
        return await gather(p._dealt(p._cross(x, one), d), p.mul_trunc(x, one, d))

    for got in run(both, words(x, k), k=k):
        check_truncated(ints(got), x, d)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("width", [1, 7, 64])
def test_boolean_operations(n, width):
    rng = np.random.default_rng([n, width])
    x, y = (words([int.from_bytes(rng.bytes(8), "little") % 2**width for _ in range(n)], 64) for _ in range(2))
    a, b = Bits.from_ring(x, width), Bits.from_ring(y, width)

    async def all_of_them(p, a, b):
        both, either = await gather(p.and_(a, b), p.or_(a, b))
        return both, either, p.xor(a, b), p.not_(a), p.and_public(a, Bits.from_ring(y, width)), p.shift_left(a, 3)

    got = [part.to_ring(np.dtype(np.uint64)) for part in run(all_of_them, a, b)]
    mask = np.uint64(2**width - 1)
    want = [x & y, x | y, x ^ y, ~x & mask, x & y, x << np.uint64(3) & mask]
    for g, w in zip(got, want, strict=True):
        assert (g == w).all()


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_bits_of_numbers(k, n):
    x = operands(k, k, n)
    for width in (1, 2, 3, 4, 5, 11, 28, 29, 31, k - 1, k):
        got = run(lambda p, x, w=width: p.a2b(x, w), words(x, k), k=k)
        assert got.width == width
        assert ints(got.to_ring(np.dtype(words([0], k).dtype)), signed=False) == [v % 2**width for v in x]


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_numbers_from_bits(k, n):
    rng = np.random.default_rng([k, n])
    for width in (1, 2, 9, k):
        x = [int.from_bytes(rng.bytes(16), "little") % 2**width for _ in range(n)]
        got = run(lambda p, b: p.b2a(b), Bits.from_ring(words(x, k), width), k=k)
        assert ints(got, signed=False) == x


@pytest.mark.parametrize("k", RINGS)
def test_comparisons_at_the_ends_of_every_bound(k):
    for bits in (2, 3, 4, 5, 8, 11, 12, 16, 24, 29, 30, 31, k - 1, k):
        d = corners(bits) + operands(k, bits, 60, bits)
        x = operands(k, k, len(d), 7)
        y = [wrap(a - b, k) for a, b in zip(x, d, strict=True)]

        async def all_of_them(p, x, y, bits=bits):
            bound = None if bits == p.k else bits
            return await gather(p.less_than(x, y, bound), p.equal(x, y, bound), p.msb(p.sub(x, y), bound))

        less, equal, negative = run(all_of_them, words(x, k), words(y, k), k=k)
        assert list(less.to_bool()) == [v < 0 for v in d]
        assert list(equal.to_bool()) == [v == 0 for v in d]
        assert list(negative.to_bool()) == [v < 0 for v in d]


@pytest.mark.parametrize("k", RINGS)
@pytest.mark.parametrize("n", SIZES)
def test_choice(k, n):
    x, y = operands(k, k, n, 1), operands(k, k, n, 2)
    bit = np.random.default_rng(n).integers(0, 2, n).astype(bool)

    async def all_of_them(p, x, y, b):
        return await gather(p.select(b, x, y), p.mul_bit(b, x), p.b2a(b))

    chosen, kept, number = run(all_of_them, words(x, k), words(y, k), Bits.from_bool(bit), k=k)
    assert ints(chosen) == [a if b else c for a, b, c in zip(x, bit, y, strict=True)]
    assert ints(kept) == [a if b else 0 for a, b in zip(x, bit, strict=True)]
    assert ints(number) == [int(b) for b in bit]


@pytest.mark.parametrize("k", RINGS)
def test_functions_of_the_addends(k):
    """The sum over j of U_j V_j for functions that are not linear: (a^2 + 1) c + a (c^2 - c)."""
    x = operands(k, k, 30)

    async def program(p, x):
        a, c = p.addends(x)
        assert (a is None) == (p.party.rank != 0) and (c is None) == (p.party.rank == 0)
        one = full(1, x.shape, x.dtype)
        from argot._core import ring

        left = None if a is None else [ring.add(ring.mul(a, a), one), a]
        right = None if c is None else [c, ring.sub(ring.mul(c, c), c)]
        z = await p.cross_product(left, right, 2, x.shape)
        # (a^2 + 1) c + a (c^2 - c) = a c (a + c) - a c + c, so with a + c = x: a c (x - 1) + c
        product = await p.cross_product(None if a is None else [a], None if c is None else [c], 1, x.shape)
        second = await p.cross_product(None if a is None else [one], None if c is None else [c], 1, x.shape)
        return p.sub(z, p.add(await p.mul(product, p.add_public(x, -1)), second))

    assert set(ints(run(program, words(x, k), k=k))) == {0}


def test_large_arrays_run_in_parts():
    n = 2 * PART + 100
    rng = np.random.default_rng(9)
    x = rng.integers(-(2**25), 2**25, n)
    y = rng.integers(-(2**25), 2**25, n)

    async def all_of_them(p, x, y):
        product, less, same, word = await gather(
            p.mul_trunc(x, y, 18), p.less_than(x, y, 30), p.equal(x, x), p.a2b(x, 20)
        )
        chosen, number = await gather(p.select(less, x, y), p.b2a(less))
        return product, less, same, word, chosen, number

    inputs = x.view(np.uint64).reshape(2, -1), y.view(np.uint64).reshape(2, -1)
    product, less, same, word, chosen, number = run(all_of_them, *inputs)
    assert product.shape == less.shape == (2, n // 2)
    assert set(np.unique(product.reshape(-1).view(np.int64) - (x * y >> 18))) <= {0, 1}
    assert (less.to_bool().reshape(-1) == (x < y)).all()
    assert same.to_bool().all()
    assert (word.to_ring(np.dtype(np.uint64)).reshape(-1) == x.view(np.uint64) % 2**20).all()
    assert (chosen.reshape(-1).view(np.int64) == np.minimum(x, y)).all()
    assert (number.reshape(-1) == (x < y)).all()


def test_scalars_stay_scalars():
    async def all_of_them(p, x, y):
        product, less, same = await gather(p.mul_trunc(x, y, 1), p.less_than(x, y), p.equal(x, y))
        return product, less, same, await p.select(less, x, y), await p.a2b(x)

    product, less, same, chosen, word = run(all_of_them, words(np.array(6), 64), words(np.array(-4), 64))
    assert {part.shape for part in (product, less, same, chosen, word)} == {()}
    assert ints(product)[0] in (-12, -11)
    assert (bool(less.to_bool()), bool(same.to_bool()), ints(chosen)) == (False, False, [-4])


def test_shares_of_bits_can_be_shifted_and_taken():
    x = Bits.from_ring(words([5, 6], 64), 3)

    async def program(p, b):
        assert isinstance(b, Bool)
        return b.bits_at(1, 3), b.reshape((2, 1)), p.shift_right(b, 1)

    high, column, shifted = run(program, x)
    assert list(high.to_ring(np.dtype(np.uint64))) == [2, 3]
    assert column.shape == (2, 1)
    assert list(shifted.to_ring(np.dtype(np.uint64))) == [2, 3]


@pytest.mark.parametrize("name", ["mul", "mul_trunc", "mul_bit", "and_", "equal", "select"])
def test_shapes_that_do_not_match_are_refused(name):
    x, y = words(np.arange(6).reshape(2, 3), 64), words(np.arange(6).reshape(3, 2), 64)
    bit = Bits.from_bool(np.ones((2, 3), bool))
    calls = {
        "mul_bit": lambda p, x, y, b: p.mul_bit(b, y),
        "and_": lambda p, x, y, b: p.and_(b, b.reshape((3, 2))),
        "select": lambda p, x, y, b: p.select(b.reshape((6,)), x, x),
    }
    call = calls.get(name, lambda p, x, y, b: getattr(p, name)(x, y))
    with pytest.raises((InputError, ValueError), match=r"2, 3"):
        run(call, x, y, bit)


@pytest.mark.parametrize("d", [-1, 63, 64])
def test_more_digits_than_there_are_cannot_be_dropped(d):
    with pytest.raises((ValueError, OverflowError)):
        run(lambda p, x: p.trunc(x, d), words([1, 2], 64))
