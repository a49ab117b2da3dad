"""What every protocol offers: two kinds of share and the operations on them.

A protocol is one file in this folder with one final class that derives from `Protocol`; `mpc.load("aby3")` finds it
by file name and `tests/conformance` runs it. Above it stand `derived/` (written once for all protocols) and the VM.

Two kinds of share, both whole arrays:

* `Arith`: numbers in Z_2^k, k = 32, 64 or 128. Fixed point is the caller's convention: a real r is the integer
  r * 2^f, f = `Protocol.fraction_bits`. Signed numbers are two's complement.
* `Bool`: a word of `width` bits for every element, shared in GF(2) and bit-sliced (`Bits`).

How the contracts below are written:

* Local methods are plain functions; all others are coroutines. Every party calls the same methods in the same order.
* Operands have equal shapes (or one is 0-d where said); the result of an elementwise operation has that shape.
* `bound=l` promises |v| < 2^(l-1) for the signed value v that is compared or truncated; a false promise gives wrong
  results, not errors. None promises what the ring needs and no more: |v| < 2^(k-1).
* `d` is a number of bits to drop. Truncated results are exact floor divisions by 2^d, plus 0 or 1 in the last
  place (the protocol's file says on what that bit depends). They need |product| < 2^(k-2), of matrices 2^(k-3).
* Costs: `@cost(rounds=..., bits=...)` on each interactive method of a protocol: `rounds` is the longest chain of
  dependent messages, `bits` the payload sent by all parties together for one element of the result. In the
  formulas: k ring bits, d dropped bits, l bound, w width of a Bool. Methods that are written here, on others, say
  of which they are made.
"""

from __future__ import annotations

import functools
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from .._core import prf, ring
from ..errors import ConfigError
from ..runtime import Spec, cost
from ..runtime.link import Link
from .bits import Bits
from .convolution import Convolution
from .few import few

if TYPE_CHECKING:
    from ..runtime.party import Party

Array = np.ndarray[Any, np.dtype[Any]]

RINGS: dict[int, np.dtype[Any]] = {
    32: np.dtype(np.uint32),
    64: np.dtype(np.uint64),
    128: np.dtype(ring.Z128),
}


FRACTION_BITS = {32: 8, 64: 18, 128: 40}
"""Bits after the binary point where none are asked for."""

MATRICES = "left=n // kernels * channels * tall * wide, right=kernels * channels * tall * wide"
"""Elements of the matrices of a convolution, from its sizes."""


@dataclass(frozen=True, slots=True)
class Arith:
    """Numbers in Z_2^k, shared. `parts` is what this party holds: ring arrays of one shape and dtype."""

    parts: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @property
    def size(self) -> int:
        return self.parts[0].size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    @property
    def k(self) -> int:
        """Bits of a ring element."""
        return self.dtype.itemsize * 8

    def map(self, fn: Callable[[Array], Array]) -> Arith:
        """A structural operation (reshape, index, transpose, concatenate with zeros...) on every part."""
        return Arith(tuple(fn(part) for part in self.parts))

    def reshape(self, shape: Sequence[int]) -> Arith:
        return self.map(lambda part: part.reshape(tuple(shape)))


@dataclass(frozen=True, slots=True)
class Bool:
    """Words of `width` bits, shared in GF(2). `parts` is what this party holds: `Bits` of one shape and width."""

    parts: tuple[Bits, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.parts[0].shape

    @property
    def size(self) -> int:
        return self.parts[0].size

    @property
    def width(self) -> int:
        return self.parts[0].width

    def map(self, fn: Callable[[Bits], Bits]) -> Bool:
        """A structural operation (a method of `Bits`) on every part."""
        return Bool(tuple(fn(part) for part in self.parts))

    def reshape(self, shape: Sequence[int]) -> Bool:
        return self.map(lambda part: part.reshape(tuple(shape)))

    def bits_at(self, start: int, stop: int) -> Bool:
        """The bits start..stop-1 of every word, as a Bool of that width."""
        return self.map(lambda part: part.planes_at(start, stop))


def concat(values: Sequence[Arith], axis: int) -> Arith:
    """Arithmetic shares joined along an existing axis."""
    return Arith(tuple(np.concatenate(parts, axis) for parts in zip(*(v.parts for v in values), strict=True)))


def concat_bits(values: Sequence[Bool], axis: int) -> Bool:
    """Boolean shares of equal width joined along an existing axis."""
    return Bool(tuple(Bits.concat(list(parts), axis) for parts in zip(*(v.parts for v in values), strict=True)))


def ring_dtype(name: int | str | np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of a ring given as 64, "u64" or a dtype. Raises ConfigError for any other."""
    for bits, dtype in RINGS.items():
        if name in (bits, f"u{bits}", str(bits)) or (not isinstance(name, int | str) and np.dtype(name) == dtype):
            return dtype
    raise ConfigError(f"ring {name!r}", wanted="32, 64 or 128 bits", todo="pass ring=64, the default")


@dataclass(frozen=True)
class About:
    """What to know of a protocol before choosing it, in words; the security note beside its file has the proofs."""

    parties: str
    adversary: str
    threshold: str
    assumes: str
    leaks: str
    note: str


class Protocol(ABC):
    """One party's side of a protocol. Methods of other parties' instances run in step over `party`."""

    parties: int
    """How many there are, all members of the session; of a class the fewest."""

    most: ClassVar[int] = 0
    """The most parties that compute; 0: as many as `parties`."""

    held: ClassVar[int] = 1
    """Arrays that a party has of a share. The first ones of all parties add up to the value."""

    repeats: ClassVar[bool] = True
    """Whether a run with the same inputs and draws has the same results. Else, with correlations from before the run,
    the last place of a truncation may be another one."""

    about: ClassVar[About | None] = None
    """None: it hides nothing."""

    forms: ClassVar[tuple[tuple[int, bool], ...]] = ()
    """The numbers of parties, the dealer among them, that tests run; and whether there is a dealer. ():  `parties`."""

    def __init__(
        self,
        party: Party,
        ring: int | str | np.dtype[Any] = 64,
        fraction_bits: int | None = None,
        link: Link | None = None,
        dealer: bool = False,
    ) -> None:
        """
        Args:
            party: what this side sends, receives and draws through.
            ring: 32, 64 or 128.
            fraction_bits: bits after the binary point of fixed-point numbers; None: 8, 18 or 40 by the ring.
            link: between the parties, as all of them know it; it decides which form of an operation is taken.
            dealer: whether the last party only deals.

        Raises:
            ConfigError: no such ring, or fractions that leave no room for a product.
        """
        self.party = party
        self.dtype = ring_dtype(ring)
        self.k = self.dtype.itemsize * 8
        if fraction_bits is None:
            fraction_bits = FRACTION_BITS[self.k]
        if not 0 <= fraction_bits < self.k // 2 - 2:
            raise ConfigError(
                f"{fraction_bits} fraction bits in a ring of {self.k}",
                wanted=f"0 to {self.k // 2 - 3}, so that a product fits",
            )
        self.fraction_bits = fraction_bits
        self.few = few(link, fraction_bits)

    @property
    def variables(self) -> dict[str, int]:
        """Variables of cost formulas that only this protocol has."""
        return {}

    @classmethod
    def fits(cls, computing: int) -> bool:
        """Whether so many parties can compute with it."""
        return cls.parties <= computing <= max(cls.most, cls.parties)

    @classmethod
    def dealt(cls) -> type[Protocol] | None:
        """The protocol with a further party, the last, that computes nothing and deals what is random; None where there
        is no use for one."""
        return None

    @classmethod
    def parties_wanted(cls) -> str:
        """How many parties compute with it, in words."""
        return f"{cls.parties} to {cls.most}" if cls.most > cls.parties else str(cls.parties)

    # ---- local: no messages -------------------------------------------------------------------------------------

    def encode(self, values: Array | float) -> Array:
        """Reals to fixed point in the ring. Raises ValueError with the flat index of the first bad value."""
        return ring.encode(np.asarray(values, dtype=np.float64), self.fraction_bits, self.dtype)

    def decode(self, words: Array) -> Array:
        """Fixed point to float64."""
        return ring.decode(words, self.fraction_bits)

    def constant(self, value: int, shape: Sequence[int] = ()) -> Array:
        """The integer `value` (mod 2^k) as a ring array."""
        return full(value, tuple(shape), self.dtype)

    @abstractmethod
    def public(self, x: Array) -> Arith:
        """A share of a value that every party knows."""

    @abstractmethod
    def public_bits(self, b: Bits) -> Bool:
        """A boolean share of a value that every party knows."""

    def add(self, x: Arith, y: Arith) -> Arith:
        return Arith(tuple(ring.add(a, b) for a, b in zip(x.parts, y.parts, strict=True)))

    def sub(self, x: Arith, y: Arith) -> Arith:
        return Arith(tuple(ring.sub(a, b) for a, b in zip(x.parts, y.parts, strict=True)))

    def neg(self, x: Arith) -> Arith:
        return x.map(ring.neg)

    def add_public(self, x: Arith, c: Array | int) -> Arith:
        """x + c for a ring array (x's shape or 0-d) or an integer."""
        c = operand(c, x.dtype)
        return self.add(x, self.public(np.broadcast_to(c, x.shape) if c.shape != x.shape else c))

    def mul_public(self, x: Arith, c: Array | int) -> Arith:
        """x * c in the ring, nothing truncated."""
        c = operand(c, x.dtype)
        return x.map(lambda part: ring.mul(part, c))

    def shl(self, x: Arith, bits: int) -> Arith:
        """x * 2^bits."""
        return x.map(lambda part: ring.shl(part, bits))

    def sum(self, x: Arith, axes: Iterable[int] | None = None, keepdims: bool = False) -> Arith:
        """The sum over `axes` (None: all)."""
        axes = None if axes is None else tuple(axes)
        return x.map(lambda part: ring.sum(part, axes, keepdims))

    def cumsum(self, x: Arith, axis: int) -> Arith:
        return x.map(lambda part: ring.cumsum(part, axis))

    def matmul_public(self, x: Arith, c: Array, side: Literal["left", "right"] = "right") -> Arith:
        """x @ c, or c @ x with side="left"; nothing truncated."""
        if side == "right":
            return x.map(lambda part: ring.matmul(part, c))
        return x.map(lambda part: ring.matmul(c, part))

    def xor(self, x: Bool, y: Bool) -> Bool:
        return Bool(tuple(a ^ b for a, b in zip(x.parts, y.parts, strict=True)))

    def xor_public(self, x: Bool, c: Bits) -> Bool:
        return self.xor(x, self.public_bits(c))

    def and_public(self, x: Bool, c: Bits) -> Bool:
        return x.map(lambda part: part & c)

    def not_(self, x: Bool) -> Bool:
        return self.xor_public(x, ~Bits.zeros(x.shape, x.width))

    def shift_left(self, x: Bool, bits: int) -> Bool:
        """Every word shifted towards the high bits, zeros in; the width stays."""
        return x.map(lambda part: part.shift_left(bits))

    def shift_right(self, x: Bool, bits: int) -> Bool:
        """Every word shifted towards the low bits, zeros in; the width stays."""
        return x.map(lambda part: part.shift_right(bits))

    @abstractmethod
    def random_bits(self, shape: Sequence[int], width: int) -> Bool:
        """Uniform words that nobody knows, new each time."""

    # ---- in and out ---------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def parts_of(cls, x: Array | Bits, n: int) -> list[tuple[Array | Bits, ...]]:
        """What each of n parties that compute is to hold of x, `held` arrays, from masks that are new each time. For an
        owner who is none of them."""

    @abstractmethod
    async def share(self, x: Array | None, owner: int, shape: Sequence[int] | None = None) -> Arith:
        """Shares of x, which party `owner` has as a ring array; the others pass None and its shape."""

    @abstractmethod
    async def share_bits(
        self, b: Bits | None, owner: int, shape: Sequence[int] | None = None, width: int | None = None
    ) -> Bool:
        """Boolean shares of b, which party `owner` has; the others pass None, its shape and width."""

    @abstractmethod
    async def reveal_to(self, x: Arith, ranks: Iterable[int]) -> Array | None:
        """The value at the parties `ranks`, None at the others."""

    @abstractmethod
    async def reveal_bits_to(self, b: Bool, ranks: Iterable[int]) -> Bits | None:
        """The words at the parties `ranks`, None at the others."""

    # ---- numbers ------------------------------------------------------------------------------------------------

    @abstractmethod
    async def mul(self, x: Arith, y: Arith) -> Arith:
        """x * y in the ring. Equal shapes, or one of them 0-d."""

    @abstractmethod
    async def square(self, x: Arith) -> Arith:
        """x * x in the ring."""

    @abstractmethod
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        """x @ y in the ring: (..., m, k) @ (..., k, n) with equal leading dimensions."""

    @abstractmethod
    async def trunc(self, x: Arith, d: int) -> Arith:
        """floor(x / 2^d) + {0, 1} for |x| < 2^(k-2)."""

    @abstractmethod
    async def mul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """floor(x * y / 2^d) + {0, 1} for |x * y| < 2^(k-2); d defaults to the fraction bits."""

    @abstractmethod
    async def square_trunc(self, x: Arith, d: int | None = None) -> Arith:
        """`mul_trunc(x, x, d)`, cheaper to compute."""

    @abstractmethod
    async def matmul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """floor(x @ y / 2^d) + {0, 1} where every output is below 2^(k-3) before it is shifted, or 2^(k-2) if x
        has fewer than 8 rows or y fewer than 8 columns."""

    @cost(f"matmul({MATRICES})")
    async def convolve(self, x: Arith, w: Arith, stride: int) -> Arith:
        """The convolution of x (batch, channels, height, width) by w (kernels, channels, height, width), without
        padding, in the ring: (batch, kernels, rows, columns)."""
        sizes = Convolution.of(x.shape, w.shape, stride)
        return (await self.matmul(x.map(sizes.patches), w.map(sizes.filters))).map(sizes.result)

    @cost(f"matmul_trunc({MATRICES})")
    async def convolve_trunc(self, x: Arith, w: Arith, stride: int, d: int | None = None) -> Arith:
        """`convolve`, truncated as `matmul_trunc` truncates: of matrices with a row for each place, and a column for
        each kernel."""
        sizes = Convolution.of(x.shape, w.shape, stride)
        return (await self.matmul_trunc(x.map(sizes.patches), w.map(sizes.filters), d)).map(sizes.result)

    @cost("trunc()")
    async def mul_public_trunc(self, x: Arith, c: Array | int, d: int | None = None) -> Arith:
        """floor(x * c / 2^d) + {0, 1} for a public ring array or integer c."""
        return await self.trunc(self.mul_public(x, c), self.fraction_bits if d is None else d)

    # ---- bits ---------------------------------------------------------------------------------------------------

    @abstractmethod
    async def and_(self, x: Bool, y: Bool) -> Bool:
        """x & y. Equal shapes and widths."""

    @cost("and_()")
    async def or_(self, x: Bool, y: Bool) -> Bool:
        """x | y."""
        return self.xor(self.xor(x, y), await self.and_(x, y))

    # ---- between numbers and bits -------------------------------------------------------------------------------

    @abstractmethod
    async def a2b(self, x: Arith, width: int | None = None) -> Bool:
        """The low `width` bits (default: all k) of x in two's complement."""

    @abstractmethod
    async def b2a(self, b: Bool) -> Arith:
        """The unsigned number with these bits (any width up to k), in the protocol's ring."""

    @abstractmethod
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        """One bit: x < 0."""

    @cost("msb()")
    async def less_than(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        """One bit: x < y. `bound` promises |x - y| < 2^(bound-1); without it the difference must fit the ring."""
        return await self.msb(self.sub(x, y), bound)

    @abstractmethod
    async def equal(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        """One bit: x == y. `bound` promises |x - y| < 2^(bound-1)."""

    @abstractmethod
    async def mul_bit(self, bit: Bool, x: Arith) -> Arith:
        """x where the bit is 1, else 0. `bit` has width 1 and x's shape."""

    @cost("mul_bit()")
    async def select(self, bit: Bool, x: Arith, y: Arith) -> Arith:
        """x where the bit is 1, else y."""
        return self.add(y, await self.mul_bit(bit, self.sub(x, y)))

    # ---- functions of the two addends (optional: see `has_addends`) -----------------------------------------------

    has_addends: ClassVar[bool] = False
    """Whether `addends`, `split`, `join` and `cross_product` exist: the form of sharing in which every value is
    a first addend known to one party plus a second addend known to the rest."""

    def addends(self, x: Arith) -> tuple[Array | None, Array | None]:
        """x = first + second in the ring: this party gets those of the two that it knows, None for the other."""
        raise NotImplementedError

    def cross_product(
        self, left: Sequence[Array] | None, right: Sequence[Array] | None, terms: int, shape: Sequence[int]
    ) -> Coroutine[Any, Any, Arith]:
        """sum over j < terms of left[j] * right[j] in the ring: any functions of the first addend times any
        functions of the second. Who does not know an addend passes None for its side."""
        raise NotImplementedError

    # ---- orders (optional: see `has_order`) -------------------------------------------------------------------------

    has_order: ClassVar[bool] = False
    """Whether `shuffle`, `order`, `take` and `place` exist. All are along the first axis of their values."""

    def shuffle(self, values: Sequence[Arith | Bool]) -> Coroutine[Any, Any, list[Arith | Bool]]:
        """The values in one new order, every one equally likely, which nobody knows."""
        raise NotImplementedError

    def order(self, key: Bool) -> Coroutine[Any, Any, Bool]:
        """The stable ascending order of unsigned words along the last axis: for each place the index of the word that
        comes there, counted over the whole array; `index_bits(size)` bits."""
        raise NotImplementedError

    def take(self, values: Sequence[Arith | Bool], order: Bool) -> Coroutine[Any, Any, list[Arith | Bool]]:
        """y[j] = x[order[j]] for a permutation of one axis."""
        raise NotImplementedError

    def place(self, values: Sequence[Arith | Bool], places: Bool) -> Coroutine[Any, Any, list[Arith | Bool]]:
        """y[places[i]] = x[i] for a permutation of one axis."""
        raise NotImplementedError


def addends_of(x: Array | Bits, n: int) -> list[Array | Bits]:
    """x as a sum of n addends, of which any n - 1 are uniform: by keys of the operating system."""
    drawn = [_uniform(x) for _ in range(n - 1)]
    return [functools.reduce(_without, drawn, x), *drawn]


def _uniform(like: Array | Bits) -> Array | Bits:
    key = os.urandom(16)
    if isinstance(like, Bits):
        return Bits.drawn(key, like.shape, like.width)
    filled: Array = prf.fill(key, like.shape, like.dtype)
    return filled


def _without(x: Array | Bits, y: Array | Bits) -> Array | Bits:
    if isinstance(x, Bits):
        assert isinstance(y, Bits)
        return x ^ y
    assert not isinstance(y, Bits)
    difference: Array = ring.sub(x, y)
    return difference


def index_bits(n: int) -> int:
    """Bits of an index among n."""
    return max((n - 1).bit_length(), 1)


def row_starts(shape: tuple[int, ...]) -> Array:
    """The index, counted over the whole array, of the first element of each row, shaped (..., 1)."""
    rows = np.arange(math.prod(shape[:-1]))
    return (rows * shape[-1]).reshape((*shape[:-1], 1))


@lru_cache(maxsize=1024)
def packed(n: int, bits: int) -> Spec:
    """The wire form of n numbers of so many bits."""
    return Spec((-(-n * bits // 8),), np.dtype(np.uint8))


def full(value: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A ring array of one integer (mod 2^k, negative ones in two's complement)."""
    if dtype == RINGS[128]:
        words = np.empty(shape, dtype)
        words["lo"], words["hi"] = value % 2**64, (value >> 64) % 2**64
        return words
    value %= 2 ** (dtype.itemsize * 8)
    return np.full(shape, value, dtype) if shape else np.array(value, dtype)


def operand(c: Array | int, dtype: np.dtype[Any]) -> Array:
    """A public operand as ring words: an integer becomes a 0-d array."""
    return full(c, (), dtype) if isinstance(c, int) else np.asarray(c)
