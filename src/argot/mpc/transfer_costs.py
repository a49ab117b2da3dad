"""What operations by transfers and lattice encryption cost, for the formulas of `transfers.py`.

Numbers of bits are for one element of the result, of all parties together. n elements, k bits of the ring, m parties.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import isqrt

from .._core import ot, rlwe
from ..runtime.meter import Chains
from . import adder
from .convolution import Convolution
from .parts import starts

PART = 1 << 14
"""Elements of a part of a large array: two ciphertexts, and some million transfers for a comparison."""

IN_FLIGHT = 4
"""Parts under way at a time: correlations of all of them are made before they are used."""

LONG = 1 << 19
"""From so many elements on signs are made bit by bit (`ripple.py`): 33 bytes fewer of each, 17 MB in all, are worth 57
rounds more: at 100 Mbit/s they take 1.4 s, the rounds 1.1 s where one there and back is 40 ms."""

LONG_PART = 1 << 18
"""Elements of a part of those: 32 KB a message."""

ROOM = 1 << 13
"""Numbers of a ciphertext."""

FEW_PRODUCTS = 1 << 10
"""Up to so many products of numbers are made bit by bit from transfers."""

PRODUCTS_A_BYTE = 4
"""So many products of two numbers, packed into ciphertexts, take a processor as long as a byte takes a link of 100
Mbit/s, 80 ns: measured were 17 to 65 ns for one of matrices, 24 to 51 for one of an image and kernels."""

FEW_FACTORS = 1 << 12
"""As `FEW_PRODUCTS`, of products of numbers of some 20 bits."""

DIGIT, WORD = 5, 7
"""Bits of the digits of words that are compared, and up to which a word is one digit: with each more the transfers of
one of many take twice as long, which a correlation less makes up for until there."""


def by_transfers(k: int, n: int) -> bool:
    """Whether n products of numbers are made from transfers: few ones, and those that ciphertexts have no room for."""
    return k > 64 or n <= FEW_PRODUCTS


# ---- rounds -------------------------------------------------------------------------------------------------------


def waves(n: int, size: int = PART) -> int:
    """How often parts of n elements wait for parts before them."""
    return max(-(-len(starts(int(n), size)) // IN_FLIGHT), 1)


def sizes(n: int) -> list[int]:
    """Of the parts of n elements."""
    return [stop - start for start, stop in pairwise([*starts(int(n), PART), int(n)])]


def opened(m: int) -> Chains:
    """Everybody tells all others something."""
    return functools.reduce(operator.or_, (Chains.sends(a, b, m) for a in range(m) for b in range(m) if a != b))


def asked(m: int) -> Chains:
    """Of every two parties the one of higher rank asks, the other answers."""
    pairs = [(a, b) for a in range(m) for b in range(a)]
    up = functools.reduce(operator.or_, (Chains.sends(a, b, m) for a, b in pairs))
    down = functools.reduce(operator.or_, (Chains.sends(b, a, m) for a, b in pairs))
    return up + down


def turn(receiver: int, senders: list[int], m: int) -> Chains:
    """One asks some, and they answer."""
    up = functools.reduce(operator.or_, (Chains.sends(receiver, b, m) for b in senders))
    down = functools.reduce(operator.or_, (Chains.sends(b, receiver, m) for b in senders))
    return up + down


def every_turn(m: int) -> Chains:
    """Each in turn asks all others."""
    return _in_turn([turn(a, [b for b in range(m) if b != a], m) for a in range(m)])


def later_turns(m: int) -> Chains:
    """Each in turn asks those before it."""
    return _in_turn([turn(a, list(range(a)), m) for a in range(1, m)])


def turns_back(m: int) -> Chains:
    """As `every_turn`, the last first."""
    return _in_turn([turn(a, [b for b in range(m) if b != a], m) for a in reversed(range(m))])


def _in_turn(steps: list[Chains]) -> Chains:
    return functools.reduce(operator.add, steps)


def crossed(m: int) -> Chains:
    """Each of every two parties asks the other, which answers."""
    pairs = [Chains.sends(a, b, m) | Chains.sends(b, a, m) for a in range(m) for b in range(a)]
    return functools.reduce(operator.or_, (pair + pair for pair in pairs))


def lot_rounds(m: int) -> Chains:
    """Of a lot: where ranges start, and of more than two what makes triples."""
    return opened(m) if m == 2 else opened(m) + opened(m)


def circuit_rounds(levels: int, m: int) -> Chains | int:
    """Of a circuit of so many levels, and its lot."""
    return lot_rounds(m) + int(levels) * opened(m) if levels else 0


def ripples(n: int, w: int, m: int) -> bool:
    """Whether signs of n numbers of w bits are made bit by bit."""
    return m == 2 and n >= LONG and w > 1


def sign_rounds(n: int, w: int, m: int, digit: int) -> Chains | int:
    """Of `msb`, of w bits."""
    if ripples(n, w, m):
        return waves(n, LONG_PART) * int(w) * opened(2)
    if w == 1 or m > 2:
        return waves(n) * circuit_rounds(adder.top_rounds(w, m), m)
    leaves = crossed(2) if min(int(n), PART) >= 128 else asked(2)
    return waves(n) * (leaves + adder.tree(_digits(w, digit))[0] * opened(2))


def b2a_rounds(n: int, w: int, m: int) -> Chains | int:
    """Of `b2a`: of two parties both ask at once, for one bit the second alone."""
    if w == 0:
        return 0
    return waves(n) * ((crossed(2) if w > 1 else asked(2)) if m == 2 else later_turns(m))


def near_rounds(n: int) -> Chains:
    """Of digits that are compared: of few elements one party asks for all."""
    return crossed(2) if n >= 128 else asked(2)


def below_rounds(n: int, w: int) -> Chains:
    """Of a test with a word of w bits."""
    return near_rounds(n) if w <= WORD else near_rounds(n) + near_rounds(n)


def mul_bit_rounds(m: int) -> Chains:
    """Of `mul_bit`, on one part."""
    return crossed(2) if m == 2 else every_turn(m)


def product_rounds(k: int, n: int, m: int) -> Chains:
    """Of `mul`. A last part that nothing else is under way with may have one ciphertext, which one party asks for."""
    begins = starts(int(n), PART)
    last = int(n) - begins[-1] if len(begins) % IN_FLIGHT == 1 else PART
    one = not by_transfers(int(k), last) and last <= ROOM
    return (waves(n) - 1) * crossed(m) + (asked(m) if one else crossed(m))


def factor_rounds(n: int, rows: int) -> Chains:
    """Of sums of so many products of a few bits: of few ones one party asks for all, and of one ciphertext."""
    n, rows = int(n), int(rows)
    return asked(2) if n * rows <= FEW_FACTORS or (not summed(n, rows) and n * rows <= ROOM) else crossed(2)


def order_rounds(w: int, n: int, m: int) -> Chains:
    """Of `order`: for each bit its number, products, the moves, and places opened."""
    return int(w) * (b2a_rounds(n, 1, m) + waves(n) * mul_bit_rounds(m) + every_turn(m) + opened(m))


# ---- bits ---------------------------------------------------------------------------------------------------------


def _over_parts(n: int, cost: Callable[[int], int]) -> int:
    """The cost of all parts of n elements."""
    begins = starts(int(n), PART)
    if not begins:
        return 0
    last = cost(int(n) - begins[-1])
    return (len(begins) - 1) * cost(PART) + last if len(begins) > 1 else last


def scaled_bytes(k: int, n: int, width: int, shift: int) -> int:
    """Bytes of the sender's message of n sums of `width` bits times numbers."""
    return sum(-(-n * (k - shift - j) // 8) for j in range(width))


def _scaled(k: int, n: int, width: int, shift: int, sums: int = 1) -> int:
    """Bits of both messages."""
    return 8 * (-(-width * n // 8) + sums * scaled_bytes(k, n, width, shift)) if width else 0


def scaled_bits(k: int, n: int, width: int, shift: int) -> Fraction:
    """Of n sums of bits times numbers, in parts."""
    return Fraction(_over_parts(n, lambda size: _scaled(int(k), size, int(width), int(shift))), int(n))


@functools.cache
def _products(k: int) -> rlwe.Products:
    return rlwe.Products(k, k, k)


@functools.cache
def _matrices(k: int, merging: bool) -> rlwe.Matrices:
    return rlwe.Matrices(k, k, merging)


@functools.lru_cache(1 << 10)
def merging(k: int, rows: int, inner: int, columns: int) -> bool:
    """Whether answers of a product of matrices are merged: where four such products take fewer bytes for that, with the
    keys, which are made once."""
    plain, merged = (sum(_matrices(k, merges).sizes(rows, inner, columns)) for merges in (False, True))
    return 4 * (plain - merged) >= _matrices(k, True).key_size()


def _ciphertexts(sizes: tuple[int, int]) -> int:
    """Bits of a request and its answer, without what says their kind."""
    return 8 * (sum(sizes) - 2 * rlwe.HEADER)


def ciphertexts(n: int) -> tuple[int, int]:
    """How many of n elements the parties 1 and 0 ask for, in whole ciphertexts: of an odd number the first has more."""
    first = min(int(n), -(-int(n) // (2 * ROOM)) * ROOM)
    return first, int(n) - first


def _product(k: int, n: int) -> int:
    """Bits of n products of what two parties share."""
    if by_transfers(k, n):
        return 2 * _scaled(k, n, k, 0)
    return sum(_ciphertexts(_products(k).sizes(part, 2)) for part in ciphertexts(n) if part)


def _square(k: int, n: int) -> int:
    return _scaled(k, n, k - 1, 1) if by_transfers(k, n) else _ciphertexts(_products(k).sizes(n))


def product_bits(k: int, n: int, m: int) -> Fraction:
    """Of `mul`."""
    return Fraction(m * (m - 1) // 2 * _over_parts(n, lambda size: _product(int(k), size)), int(n))


def square_bits(k: int, n: int, m: int) -> Fraction:
    """Of `square`."""
    return Fraction(m * (m - 1) // 2 * _over_parts(n, lambda size: _square(int(k), size)), int(n))


def _shape(n: int, left: int, right: int) -> tuple[int, int, int]:
    """(rows, inner, columns) of a product of matrices, from the numbers of their elements."""
    inner = isqrt(int(left) * int(right) // int(n))
    return int(left) // inner, inner, int(right) // inner


def matrix_waves(k: int, n: int, left: int, right: int) -> int:
    """Of a product of two matrices."""
    rows, inner, columns = _shape(n, left, right)
    return waves(rows * inner * columns) if by_transfers(int(k), rows * inner * columns) else 1


def matrix_bits(k: int, n: int, left: int, right: int, m: int) -> Fraction:
    """Of a product of two matrices."""
    rows, inner, columns = _shape(n, left, right)
    every = rows * inner * columns
    if by_transfers(int(k), every):
        return product_bits(k, every, m) * Fraction(every, int(n))
    return Fraction(m * (m - 1) * _matrix(int(k), rows, inner, columns), int(n))


def _matrix(k: int, rows: int, inner: int, columns: int) -> int:
    """Bits of a request for a product of matrices and its answer."""
    keys = _matrices(k, merging(k, rows, inner, columns))
    return _ciphertexts(keys.sizes(rows, inner, columns))


@functools.cache
def _convolutions(k: int) -> rlwe.Convolutions:
    return rlwe.Convolutions(k, k)


def _image(k: int, sizes: Convolution) -> int | None:
    """Bits of a request for the convolution of one image, and its answer; None where ciphertexts have no room."""
    try:
        return _ciphertexts(_convolutions(k).sizes(sizes.single[1:]))
    except ValueError:  # kernels of more elements than a polynomial has coefficients, for example
        return None


@functools.lru_cache(1 << 10)
def encrypts_images(k: int, *sizes: int) -> bool:
    """Whether images are encrypted for a convolution of such `Convolution`, and not matrices of patches: where products
    are not few, and images take less in bytes and work together."""
    wanted = Convolution(*map(int, sizes))
    image, (rows, inner, columns) = wanted.single, wanted.matrices
    if by_transfers(int(k), rows * inner * columns):
        return False
    bits = _image(int(k), wanted)
    if bits is None:
        return False
    spared = rows * inner * columns - image.channels * image.height * image.width * image.kernels
    return bits < _matrix(int(k), rows, inner, columns) + 8 * spared // PRODUCTS_A_BYTE


def convolution_bits(k: int, n: int, m: int, *sizes: int) -> Fraction:
    """Of a convolution of which images are encrypted."""
    return Fraction(m * (m - 1) * (_image(int(k), Convolution(*map(int, sizes))) or 0), int(n))


def lot_bits(joins: int, strings: int, m: int) -> int:
    """Of a lot: of more than two parties the bits that make triples of what is random."""
    return m * (m - 1) * int(joins) * (1 + int(strings)) if m > 2 else 0


def halves(n: int) -> tuple[int, int]:
    """How many of n elements the parties 1 and 0 ask for: all of few, else half each, cut between words."""
    low = n if n < 128 else n // 128 * 64
    return low, n - low


def sign_bits(n: int, w: int, m: int, digit: int) -> Fraction:
    """Of `msb`, of w bits: transfers of one of many for each digit, products of bits for the tree."""
    n, w = int(n), int(w)
    if ripples(n, w, m):
        return Fraction(4 * (w - 1))
    if w == 1 or m > 2:
        return Fraction(lot_bits(adder.top_joins(w, m), 2, m) + adder.top_bits(w, m, m * (m - 1), 0))
    leaves = _over_parts(n, lambda size: sum(_leaves(half, w - 1, digit) for half in halves(size)))
    return Fraction(leaves, n) + 2 * adder.tree(_digits(w, digit))[1]


def _digits(w: int, digit: int) -> int:
    return -(-(w - 1) // digit)


def _leaves(n: int, width: int, digit: int) -> int:
    return 8 * (-(-width * n // 8) + ot.digits_bytes(n, width, digit)) if n else 0


def near_bits(n: int, w: int, digit: int, results: int) -> Fraction:
    """Of words of w bits that are compared in digits, with so many results for each."""
    n, w, digit, results = int(n), int(w), int(digit), int(results)
    return Fraction(sum(_near(half, w, digit, results) for half in halves(n)), n)


def _near(n: int, w: int, digit: int, results: int) -> int:
    return 8 * (-(-w * n // 8) + ot.near_bytes(n, w, digit, results)) if n else 0


def below_bits(n: int, w: int) -> Fraction:
    """Of a test with a word of w bits."""
    if w <= WORD:
        return near_bits(n, w, w, 1)
    digits = -(-w // DIGIT)
    return near_bits(n, w, DIGIT, 3) + near_bits(n, 3 * digits, digits, 1)


def times_bits(k: int, n: int, w: int, sums: int) -> Fraction:
    """Of some numbers, each times the sum of w bits with their places."""
    return Fraction(2 * _scaled(int(k), int(n), int(w), 0, int(sums)), int(n))


def numbers_bits(n: int, m: int) -> Fraction:
    """Of m bits each that become numbers of 64 bits."""
    return Fraction(_scaled(64, int(m) * int(n), 1, 1), int(n))


def b2a_bits(k: int, n: int, w: int, m: int) -> Fraction:
    """Of `b2a`."""
    k, n, w = int(k), int(n), int(w)
    if m > 2:
        return m * (m - 1) // 2 * Fraction(_over_parts(n, lambda size: _scaled(k, w * size, 1, 1) if w else 0), n)
    w = min(w, k - 1)
    half = (w + 1) // 2
    return scaled_bits(k, n, half, 1) + scaled_bits(k, n, w - half, half + 1)


def mul_bit_bits(k: int, n: int, m: int) -> Fraction:
    """Of `mul_bit`."""
    return m * (m - 1) * scaled_bits(k, n, 1, 0)


def factor_size(bytes: int, rows: int) -> int:
    """Bits of the factors, with a sign, of products of so many bytes: `sums.scaled` makes both of like size. Sums of
    seven bytes with more than four rows are scaled so that 27 are enough, which makes room for eight products in a
    ciphertext."""
    return 4 * int(bytes) - (int(bytes) == 7 and int(rows) > 4)


def factor_widths(bytes: int, rows: int) -> tuple[int, int, int, int]:
    """Of lattice encryption of such products: the ring in which they are added up, both factors, products of a sum."""
    size = factor_size(bytes, rows)
    return 8 * int(bytes), size, size, {28: 2, 27: 8}.get(size, 16)


@functools.cache
def _factors(*widths: int) -> rlwe.Products:
    return rlwe.Products(*widths)


def summed(n: int, rows: int) -> int:
    """Of how many of n elements products are added up in ciphertexts that are theirs: those of whole ones, and the
    rest where it fills half of one. Of the others all products are in a row."""
    rest = n % ROOM
    return 0 if rows < 2 else n if 2 * rest >= ROOM else n - rest


def factor_bits(n: int, rows: int, bytes: int) -> Fraction:
    """Of the products of a trigonometric sum of so many rows, for n elements."""
    n, rows, size = int(n), int(rows), factor_size(bytes, rows)
    if n * rows <= FEW_FACTORS:
        return Fraction(_scaled(64, n * rows, size, 0), n)
    keys, whole = _factors(*factor_widths(bytes, rows)), summed(n, rows)
    of_sums = [keys.sizes(whole, part) for part in (rows - rows // 2, rows // 2) if whole]
    of_rest = [keys.sizes(part) for part in ciphertexts((n - whole) * rows) if part]
    return Fraction(sum(map(_ciphertexts, of_sums + of_rest)), n)


def moved_bits(n: int, m: int, *widths: int) -> Fraction:
    """Of columns of so many bits that are permuted by each party in turn: of each and every other choices of switches,
    a row for each switch and one more, and the rows themselves."""
    n = int(n)
    switches = ot.switches(n)
    each = 8 * -(-switches // 8)
    for w in map(int, widths):
        each += 8 * (-(-switches * w // 8) + -(-w // 8)) + n * w
    return Fraction(m * (m - 1) * each, n)


def order_bits(w: int, n: int, k: int, m: int, index: int, place: int) -> Fraction:
    """Of `order`: for each bit its place, the moves of places, indices and what is left of the words, places opened."""
    step = b2a_bits(k, n, 1, m) + mul_bit_bits(k, n, m)
    total = Fraction(0)
    for left in range(int(w)):
        total += step + moved_bits(n, m, place, index, left) + m * (m - 1) * place
    return total
