"""Semi2k with a dealer: any number of parties, of which all but one may be curious together; additive shares (SPDZ2k
without its checks: Cramer et al., eprint 2018/482; Damgard et al., eprint 2019/599).

Products are Beaver's (CRYPTO 1991): with random a, b and c = a b, shared and used once, the parties open e = x - a and
f = y - b, and x y = c + e b + a f + e f. Products of bits likewise. Triples and all other correlations come from a
member that computes nothing and is trusted not to join its view with another's: `dealer.py`.

What each message hides is written down in semi2k.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .._core import approx, mpc, ring
from ..runtime import cost
from . import adder
from . import additive_functions as functions
from . import additive_order as orders
from .additive import Column, minus, plus
from .additive_order import Ordered
from .bits import Bits
from .dealer import Dealer, Later, key_bits
from .protocol import About, Arith, Array, Bool, full
from .sums import Sum, low_bits, shortened, word

OPENED = "all * k"
"""A number opened: everybody sends its part of it to all others."""

MOVED = "(all + members * dealt)"
"""A bit of a column that is shuffled: at every party's turn all others send it theirs, and the dealer what it lacks."""

BOUND = "max(1, min(l, k))"
KEYED = f"members == 2 and n <= few_signs(few, f, {BOUND})"

EVALUATING_NS = 4
"""About what a level of a comparison's key takes."""


def few_signs(few: int, f: int, bound: int) -> int:
    """Up to how many signs two parties take by keys: the two keys of so many take as long to send as the rounds that
    they save. In one latency go as many bits as `few` truncations of f digits save with a third round (few.py).
    """
    saved = adder.top_rounds(bound, 2) - 1
    return few * max(f - 1, 1) * saved // (2 * key_bits(bound))


class Semi2kDealer(Ordered, functions.Sums):
    """Semi-honest security against all parties but one, and a dealer who joins nobody. See semi2k.md."""

    parties: int = 2
    most: ClassVar[int] = 8
    has_order: ClassVar[bool] = True
    about: ClassVar[About | None] = About(
        parties="2 to 8, and a dealer",
        adversary="semi-honest: follow the program, join and analyse what they see",
        threshold="safe against all parties but one; the dealer with the opened messages of a run learns everything",
        assumes="a dealer who joins nobody; authenticated channels, AES-128 and BLAKE3 as pseudo-random functions;"
        " of two parties AES-128 as an ideal cipher",
        leaks="program, shapes, bounds; what is revealed; of a revealed truncated value one bit on what was dropped",
        note="src/argot/mpc/semi2k.md",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source = Dealer(self.party, self.dtype)

    # ---- products -------------------------------------------------------------------------------------------------

    @cost(rounds="1", bits=f"2 * {OPENED} + dealt * k")
    async def mul(self, x: Arith, y: Arith) -> Arith:
        """Beaver's product."""
        if x.shape != y.shape:
            return await self._mul_by_scalar(x, y)
        a, b, product = self.source.keyed_triple(x.shape)
        if not self.computes:
            return await self._dealt(product, x.shape)
        e, f = await self._open(ring.sub_stream(x.parts[0], a), ring.sub_stream(y.parts[0], b))
        return Arith((ring.beaver(await product(), e, f, a, b, self.party.rank == 0),))

    async def _mul_by_scalar(self, x: Arith, y: Arith) -> Arith:
        """Where one operand has no axes, one number of it is hidden and opened for all products."""
        shape = x.shape if x.shape else y.shape
        a, b, product = self.source.triple(x.shape, y.shape, shape, ring.mul)
        if not self.computes:
            return await self._dealt(product, shape)
        e, f = await self._open(ring.sub(x.parts[0], a), ring.sub(y.parts[0], b))
        if self.party.rank == 0:
            b = ring.add(b, f)
        return Arith((ring.add(ring.add(await product(), ring.mul(e, b)), ring.mul(f, a)),))

    @cost(rounds="1", bits=f"{OPENED} + dealt * k")
    async def square(self, x: Arith) -> Arith:
        """x^2 = a^2 + 2 e a + e^2."""
        a, product = self.source.square(x.shape)
        if not self.computes:
            return await self._dealt(product, x.shape)
        (e,) = await self._open(ring.sub(x.parts[0], a))
        factor = ring.shl(a, 1)
        if self.party.rank == 0:
            factor = ring.add(factor, e)
        return Arith((ring.add(await product(), ring.mul(e, factor)),))

    @cost(rounds="1", bits=f"{OPENED} * (left + right) / n + dealt * k")
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        """As `mul`: what is opened are the two matrices, of `left` and `right` elements."""
        p = self.party
        shape = (*x.shape[:-1], y.shape[-1])
        a, b, product = self.source.triple(x.shape, y.shape, shape, ring.matmul)
        if not self.computes:
            return await self._dealt(product, shape)
        e, f = await self._open(ring.sub(x.parts[0], a), ring.sub(y.parts[0], b))
        if p.rank == 0:
            b = ring.add(b, f)
        work = 2 * x.size * y.shape[-1]
        # a f + e b in one product of twice the depth: a (b + (f - b)) + e b
        z = await p.compute(ring.cross_matmul, a, e, b, ring.sub(f, b), cost_ns=work / 10)
        return Arith((ring.add(await product(), z),))

    # ---- truncation -----------------------------------------------------------------------------------------------

    @cost(rounds="1 if d else 0", bits=f"(2 + d * dealt if members == 2 else {OPENED} + (k + d) * dealt) if d else 0")
    async def trunc(self, x: Arith, d: int) -> Arith:
        """[floor(x / 2^d)] + {0, 1} for |x| < 2^(k-2); of x + 2^(k-2) =: z, which has no sign and no top bit."""
        if not 0 <= d <= x.k - 2:
            raise ValueError(f"{d} bits to drop; wanted 0 to {x.k - 2}")
        if d == 0:
            return x
        if self.n == 2:
            return await self._trunc_of_two(x, d)
        lifted = self.add_public(x, 1 << (x.k - 2))
        return self.add_public(await self._trunc_of_many(lifted, d), -(1 << (x.k - 2 - d)))

    async def _trunc_of_two(self, x: Arith, d: int) -> Arith:
        """z0 + z1 = x + 2^(k-2) wraps unless both top bits are zero: it has no top bit itself. So with U and V their
        complements

            floor(z / 2^d) = floor(z0 / 2^d) + floor(z1 / 2^d) + carry - (1 - U V) 2^(k-d)

        and U V is needed mod 2^d (Guo et al., eprint 2025/200). It is a product of private bits, each opened under
        one that the party has from the correlation (kernels_trunc). For the carry 1 is added: the error is 1 - carry,
        a coin, as the parts are moved against each other by a draw that both have first.
        """
        p = self.party
        own, given = self.source.private_bit(x.parts[0], d)
        if not self.computes:
            return await self._dealt(given, x.shape)
        first = p.rank == 0
        part = (ring.add_stream if first else ring.sub_stream)(x.parts[0], p.key(0, 1))
        mine = ring.bits_xor(mpc.trunc_units(part, None, first), own)
        theirs = await p.exchange(1 - p.rank, mine)
        c, told = (mine, theirs) if first else (theirs, mine)
        mask, hidden = mpc.trunc_half(part, None, d, own, c, told, p.key(0, 1), **await given())
        return Arith((ring.add(mask, hidden),))

    async def _trunc_of_many(self, z: Arith, d: int) -> Arith:
        """c = z + r is opened for a random r, of which the parts of floor(r / 2^d) and of the top bit are known. z has
        no top bit, so c wraps exactly where r has one and c has none, and

            floor(c / 2^d) - floor(r / 2^d) + top(r) (1 - top(c)) 2^(k-d) = floor(z / 2^d) + carry,

        a carry if the low digits of c are smaller than those of r, which are uniform.
        """
        k = z.k
        r, given = self.source.mask(z.shape, d)
        if not self.computes:
            return await self._dealt(given, z.shape)
        (c,) = await self._open(ring.add(z.parts[0], r))
        high, top = await given()
        stays = ring.sub(self.constant(1), ring.shr(c, k - 1))
        part = ring.sub(ring.shl(ring.mul(stays, top), k - d), high)
        return self.add_public(Arith((part,)), ring.shr(c, d))

    # ---- functions: additive_functions.py ---------------------------------------------------------------------------

    exp, sigmoid, tanh, erf = functions.exp, functions.sigmoid, functions.tanh, functions.erf
    sin, cos = functions.sin, functions.cos

    @cost(rounds="1", bits="all * width + dealt * 8 * rows * bytes")
    async def _harmonics(self, angle: Array, s: Sum, width: int) -> Array:
        """The angle less r is opened, for a random r of which the dealer gives the cosines and sines."""
        r, given = self.source.waves(angle.size, s, width)
        if not self.computes:
            return await self._nothing(given, angle)
        (t,) = await self._open(ring.sub(shortened(angle, width), r))
        half, constant = await given(), s.constant if self.party.rank == 0 else 0
        found: Array = await self.party.compute(
            approx.fourier_right, word(t), s.cos, s.sin, [], s.bytes, half, constant, cost_ns=t.size * 10 * len(s.gains)
        )
        return found

    @cost(rounds="1", bits="all * k + dealt * 128")
    async def _power(self, exponent: Array, shift: int) -> Array:
        """The exponent less r is opened, for a random r of which the dealer gives the power."""
        r, given = self.source.powers(exponent.size, shift, self.k)
        if not self.computes:
            return await self._nothing(given, exponent)
        (c,) = await self._open(ring.sub(shortened(exponent, self.k), r))
        first, half = self.party.rank == 0, await given()
        (found,) = await self.party.compute(
            approx.power_right, word(c), None, None, half, first, [0], cost_ns=c.size * 25
        )
        return found

    @cost(
        rounds="1",
        bits="2 + dealt * 8 * _product_bytes(k, width, drop) if members == 2 else "
        "all * (32 if width <= 32 else 64) + dealt * (k + k - width + drop)",
    )
    async def _lift(self, addend: Array, width: int, drop: int, shape: tuple[int, ...]) -> Arith:
        """As `trunc`: of two parties by a product of private bits (approx_lift), of more by an opened mask."""
        if self.n == 2:
            wide = await self._lift_of_two(addend, width, drop)
        else:
            wide = await self._lift_of_many(addend, width, drop)
        return Arith((ring.cast(wide, self.dtype).reshape(shape),))

    async def _lift_of_two(self, z: Array, width: int, drop: int) -> Array:
        p, size = self.party, _product_bytes(self.k, width, drop)
        key, given = self.source.private_flags(z.size, size)
        if not self.computes:
            return await self._nothing(given, z)
        first = p.rank == 0
        theirs = await p.exchange(1 - p.rank, approx.lift_bits(z, width, key, first))
        found: Array = await p.compute(
            approx.lift_finish, z, width, drop, key, first, await given(), size, theirs, cost_ns=z.size * 6
        )
        return found

    async def _lift_of_many(self, z: Array, width: int, drop: int) -> Array:
        """`_trunc_of_many` from Z_2^width."""
        r, given = self.source.narrow_mask(z.size, width, drop)
        if not self.computes:
            return await self._nothing(given, z)
        first = self.party.rank == 0
        if first:
            z = ring.add(z, full(1 << (width - 2), (), z.dtype))
        (c,) = await self._open(ring.add(ring.cast(z, r.dtype), r))
        c = low_bits(ring.cast(c, z.dtype), width)
        high, top = await given()
        stays = ring.sub(self.constant(1), ring.cast(ring.shr(c, width - 1), self.dtype))
        part = ring.sub(ring.shl(ring.mul(stays, top), width - drop), high)
        if first:
            whole = ring.cast(ring.shr(c, drop), self.dtype)
            part = ring.add(part, ring.sub(whole, self.constant(1 << (width - 2 - drop))))
        return part

    # ---- bits -----------------------------------------------------------------------------------------------------

    @cost(rounds="1", bits="all * (w + others) + dealt * others")
    async def ands(self, x: Bool, ys: Sequence[Bool]) -> list[Bool]:
        """Beaver's product; what hides x is the same for all y."""
        a, bs, products = self.source.bit_triples(x.shape, x.width, [y.width for y in ys])
        if not self.computes:
            await products()
            return [Bool((Bits.zeros(y.shape, y.width),)) for y in ys]
        opened = await self._open(x.parts[0] ^ a, *(y.parts[0] ^ b for y, b in zip(ys, bs, strict=True)))
        e, fs = opened[0], opened[1:]
        c = await products()
        found, start = [], 0
        for b, f in zip(bs, fs, strict=True):
            low = x.width - f.width
            high_e, high_a = e.planes_at(low, x.width), a.planes_at(low, x.width)
            other = b ^ f if self.party.rank == 0 else b
            z = c.planes_at(start, start + f.width) ^ (high_e & other) ^ (high_a & f)
            found.append(Bool((z,)))
            start += f.width
        return found

    async def _private_and(self, own: Bits) -> Bool:
        """Each opens its word under one that it has from the correlation: u v = (e ^ r)(f ^ s)."""
        mine, product = self.source.private_bits(own.shape, own.width)
        if not self.computes:
            await product()
            return Bool((Bits.zeros(own.shape, own.width),))
        hidden = own ^ mine
        theirs = await self.party.exchange(1 - self.party.rank, hidden)
        factor = own if self.party.rank == 0 else mine  # f u = f (e ^ r) here, and f r' there
        return Bool((await product() ^ (theirs & factor),))

    @cost(
        rounds=f"1 if {KEYED} else adder.top_rounds({BOUND}, members)",
        bits=f"all * {BOUND} + 2 * key_bits({BOUND}) if {KEYED} else adder.top_bits({BOUND}, members, all, dealt)",
    )
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        """Few of two parties by keys that the dealer makes (`_sign_by_keys`); else by the circuit on bits."""
        width = self._width(x, bound)
        if self.n == 2 and x.size <= few_signs(self.few, self.fraction_bits, width):
            return await self._sign_by_keys(x, width)
        return await adder.sign(self, x, width)

    async def _sign_by_keys(self, x: Arith, width: int) -> Bool:
        """c = x + r mod 2^width is opened, and the top bit of c - r is a function of c of which each of two parties has
        a share: a distributed comparison (Boyle et al., eprint 2020/1392; kernels_compare).
        """
        p = self.party
        r, given = self.source.comparisons(x.shape, width)
        if not self.computes:
            await given()
            return Bool((Bits.zeros(x.shape),))
        own = ring.add(x.parts[0], r)
        theirs, c = await p.exchange(1 - p.rank, mpc.pack(own, width)), np.empty_like(own)
        mpc.unpack(theirs, width, c)
        c, key = ring.add(own, c), await given()
        work = EVALUATING_NS * x.size * key_bits(width) / 128
        sign = await p.compute(partial(mpc.compare_sign, c, width, **key), cost_ns=work)
        return Bool((Bits(sign, x.shape),))

    # ---- between numbers and bits ---------------------------------------------------------------------------------

    @cost(rounds="1", bits="all * w + dealt * k * w")
    async def b2a(self, b: Bool) -> Arith:
        """Each bit is opened under a random one r, shared as a number as well: c ^ r = c + (1 - 2c) r."""
        if b.width == 0:
            return Arith((full(0, b.shape, self.dtype),))
        r, given = self.source.bit_numbers(b.shape, b.width)
        if not self.computes:
            return await self._dealt(given, b.shape)
        (c,) = await self._open(b.parts[0] ^ r)
        numbers, total = await given(), full(0, b.shape, self.dtype)
        for i in range(b.width):
            bit = c.planes_at(i, i + 1).to_ring(self.dtype)
            part = ring.mul(self._sign(bit), numbers[i])
            if self.party.rank == 0:
                part = ring.add(part, bit)
            total = ring.add(total, ring.shl(part, i))
        return Arith((total,))

    @cost(rounds="1", bits=f"all + {OPENED} + 2 * dealt * k")
    async def mul_bit(self, bit: Bool, x: Arith) -> Arith:
        """With c = bit ^ r and e = x - a opened: bit x = c x + (1 - 2c)(r e + r a)."""
        r, a, products = self.source.scaled(x.shape)
        if not self.computes:
            return await self._dealt(products, x.shape)
        c, e = await self._open(bit.parts[0] ^ r, ring.sub(x.parts[0], a))
        r_number, r_a = await products()
        c = c.to_ring(self.dtype)
        hidden = ring.mul(self._sign(c), ring.add(ring.mul(r_number, e), r_a))
        return Arith((ring.add(ring.mul(c, x.parts[0]), hidden),))

    # ---- orders -----------------------------------------------------------------------------------------------------

    @cost(rounds="members", bits=f"{MOVED} * w")
    async def shuffle(self, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
        return await orders.shuffle(self, values)

    @cost(
        rounds="orders.order_rounds(w, members)",
        bits=f"orders.order_bits(w, n, b2a(w=1) + mul_bit(), {MOVED}, all)",
    )
    async def order(self, key: Bool) -> Bool:
        return await orders.order(self, key)

    @cost(rounds="2 * members + 1", bits=f"{MOVED} * (w + orders.index_width(n)) + all * orders.index_width(n)")
    async def take(self, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
        return await orders.take(self, values, order)

    @cost(rounds="members + 1", bits=f"{MOVED} * (w + orders.index_width(n)) + all * orders.index_width(n)")
    async def place(self, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
        return await orders.place(self, values, places)

    def _permutations(self, n: int) -> list[Array | None]:
        return self.source.permutations(n)

    async def _moved(self, columns: Sequence[Column], index: Array | None, mover: int) -> list[Column]:
        """Every other party j sends the mover its part of x under a_j, and takes b_j for its new one; the mover
        permutes the sum of what it has, and adds d = (sum a_j)[index] - sum b_j, which comes with the correlation
        (Chase, Ghosh, Poburinnaya, eprint 2020/1340).
        """
        p = self.party
        masks, new, given = self.source.moves(columns, index, mover)
        if not self.computes:
            await given()
            return list(columns)
        if p.rank != mover:
            for column, mask in zip(columns, masks, strict=True):
                p.send(mover, minus(column, mask))
            await given()
            return new
        assert index is not None
        found = list(columns)
        for rank in self._others():
            for i, column in enumerate(found):
                found[i] = plus(column, await p.recv(rank, column))
        return [plus(orders.taken(column, index), rest) for column, rest in zip(found, await given(), strict=True)]

    # ---- details --------------------------------------------------------------------------------------------------

    def _sign(self, bit: Array) -> Array:
        """1 - 2 bit."""
        return ring.sub(self.constant(1), ring.shl(bit, 1))

    async def _nothing(self, given: Later, like: Array) -> Array:
        """The dealer's side of an operation on addends."""
        await given()
        return full(0, like.shape, like.dtype)

    async def _dealt(self, given: Later, shape: tuple[int, ...]) -> Arith:
        """The dealer's side of an operation: what it gives, and its own part of the result."""
        await given()
        return Arith((full(0, shape, self.dtype),))


def _product_bytes(k: int, width: int, drop: int) -> int:
    """Bytes of a product of two bits, of which those count that a ring of k bits has room for."""
    return max(-(-(k - width + drop) // 8), 1)
