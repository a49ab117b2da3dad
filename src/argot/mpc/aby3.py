"""ABY3: three parties, at most one of them curious, replicated shares (eprint 2018/403).

x = x0 + x1 + x2, in Z_2^k for numbers and in GF(2) for bits; party i holds xi and xi+1.

Sums are local. Products of two shared values are those of ABY3. Everything else here uses one observation: the sum
of x0 and x1 is known to party 0, and x2 to both others. So every value is a *first addend* a, private to party 0, plus
a *second* c, common to parties 1 and 2, and a sum of products U V, U any function of first addends, V any function
of second ones, costs little (`cross_product`):

    party 0 splits each U into a draw that it has in common with party 1 and the rest, which it sends to party 2;
    parties 1 and 2 multiply their parts of U by V: two halves of the result;
    each hides its half by a draw that it has in common with party 0, and they exchange what is left (`join`).

Party 0 only sends, and all it sends can leave at once: its part of each result is drawn, not received. What each
message hides and why nobody learns more than its share is written down in aby3.md, operation by operation; `grep
party.` finds every message and draw.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, ClassVar, final

import numpy as np

from .._core import mpc, prf, ring
from ..runtime import Spec, cost
from . import aby3_functions as functions
from . import aby3_order as orders
from . import carry
from .bits import Bits
from .parts import Operation, check_shapes, operands, side_by_side
from .protocol import About, Arith, Array, Bool, Protocol, addends_of, full, operand, packed

Kernel = Callable[..., Array]

State = tuple[Array, Array]
"""The two parts of shared bits that a party holds, as planes, a row each."""

Places = tuple[Array | None, Array | None]
"""Arrays for the two parts of a result: its place in a larger one. None: a fresh array."""

ANYWHERE: Places = (None, None)

PART = 1 << 17
"""Elements above which an operation runs in parts side by side: messages of one travel while the next is computed."""

IN_FLIGHT = 32
"""Parts of one operation that are under way at a time, so that memory stays bounded."""

# Whose messages make the rounds: where party 0 only sends, its messages of the next operation are on their way before
# this one ends.
AHEAD, MEET = functions.AHEAD, functions.MEET
ROTATE = "gather(sends(0, 2), sends(1, 0), sends(2, 1))"
FUSED_ROUNDS = f"""
({MEET} + {AHEAD} + {MEET} if n <= few else sends(2, 1) + 2*gather(sends(0, 1), sends(1, 0))) if d else {ROTATE}
"""
FUSED_BITS = "3*k + (3*d if n <= few else d + 2) if d else 3*k"
MATMUL_BITS = "3*k + (3*(d + large) if n <= few else d + large + 2) if d else 3*k"

THIN = 8
"""Rows or columns below which a matrix product is bound by memory, not by its multiplications."""

NEIGHBOURS = (((0, 1), (2, 0)), ((1, 2), (0, 1)), ((2, 0), (1, 2)))
"""The pairs that each party is in: with the one after it, and with the one before."""

TWICE = ((2, 1, 2, 1), (1, 2, 1, 2), (1, -1, -2, 2))
"""Weights (a, b, c, d) of each party's product (a xi + b xi+1) (c yi + d yi+1); the three sum up to 2 x y."""


@final
class Aby3(Protocol):
    """Semi-honest security against one of three parties. See aby3.md."""

    parties: int = 3
    held: ClassVar[int] = 2
    has_addends: ClassVar[bool] = True
    about: ClassVar[About | None] = About(
        parties="3",
        adversary="semi-honest: follows the program, analyses what it sees",
        threshold="safe against any one of the three; two together learn everything",
        assumes="authenticated channels, AES-128 and BLAKE3 as pseudo-random functions",
        leaks="program, shapes, bounds; what is revealed; of a revealed truncated value one bit on what was dropped",
        note="src/argot/mpc/aby3.md",
    )

    # ---- local --------------------------------------------------------------------------------------------------

    def public(self, x: Array) -> Arith:
        """(x, 0, 0)."""
        nothing = full(0, x.shape, x.dtype)
        return Arith(((x, nothing), (nothing, nothing), (nothing, x))[self.party.rank])

    def public_bits(self, b: Bits) -> Bool:
        """(b, 0, 0)."""
        nothing = Bits.zeros(b.shape, b.width)
        return Bool(((b, nothing), (nothing, nothing), (nothing, b))[self.party.rank])

    def add_public(self, x: Arith, c: Array | int) -> Arith:
        """c is added to x0 alone."""
        words = operand(c, x.dtype)
        return Arith(self._first_changed(x.parts, lambda part: ring.add(part, words)))

    def xor_public(self, x: Bool, c: Bits) -> Bool:
        return Bool(self._first_changed(x.parts, lambda part: part ^ c))

    def not_(self, x: Bool) -> Bool:
        return Bool(self._first_changed(x.parts, lambda part: ~part))

    def _first_changed(self, parts: tuple[Any, ...], change: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The parts after a change of x0, which party 0 has as its own part and party 2 as the following one."""
        own, following = parts
        match self.party.rank:
            case 0:
                return change(own), following
            case 1:
                return own, following
            case _:
                return own, change(following)

    def random_bits(self, shape: Sequence[int], width: int) -> Bool:
        """Each of the three addends is a draw of the two parties that hold it: nothing is sent."""
        after, before = NEIGHBOURS[self.party.rank]
        return Bool(tuple(self._draw_bits(tuple(shape), width, *pair) for pair in (before, after)))

    def addends(self, x: Arith) -> tuple[Array | None, Array | None]:
        """x0 + x1 at party 0, x2 at the others."""
        own, following = x.parts
        if self.party.rank == 0:
            return ring.add(own, following), None
        return None, following if self.party.rank == 1 else own

    def bit_addend(self, b: Bool) -> Bits:
        """x0 ^ x1 at party 0, x2 at the others."""
        own, following = b.parts
        if self.party.rank == 0:
            return own ^ following
        return following if self.party.rank == 1 else own

    # ---- in and out ---------------------------------------------------------------------------------------------

    @classmethod
    def parts_of(cls, x: Array | Bits, n: int) -> list[tuple[Array | Bits, ...]]:
        """(xi, xi+1), with three addends of which any two are uniform."""
        parts = addends_of(x, n)
        return [(part, parts[(rank + 1) % n]) for rank, part in enumerate(parts)]

    @cost(rounds="1", bits="k")
    async def share(self, x: Array | None, owner: int, shape: Sequence[int] | None = None) -> Arith:
        """The owner i has a draw in common with party i-1 as xi, and sends the rest to party i+1 as xi+1. What the two
        others share, xi+2, is a draw of all three: known, but uniform, so that truncations of x round without drift.
        """
        p, dtype = self.party, self.dtype
        after, before = (owner + 1) % 3, (owner + 2) % 3
        if shape is None:
            assert x is not None, "those who do not own it say its shape"
            shape = x.shape
        shape = tuple(shape)
        if p.rank == owner:
            assert x is not None
            rest, key = ring.sub_stream(x, p.key(0, 1, 2)), p.key(owner, before)
            p.send(after, rest := ring.sub_stream(rest, key))  # on its way while the draw is made once more
            return Arith((prf.fill(key, shape, dtype), rest))
        common = p.draw(shape, dtype, 0, 1, 2)
        if p.rank == before:
            return Arith((common, p.draw(shape, dtype, owner, before)))
        return Arith((await p.recv(owner, Spec(shape, dtype)), common))

    @cost(rounds="1", bits="w")
    async def share_bits(
        self, b: Bits | None, owner: int, shape: Sequence[int] | None = None, width: int | None = None
    ) -> Bool:
        """As `share`, with zero for what the two others share."""
        p = self.party
        after, before = (owner + 1) % 3, (owner + 2) % 3
        if p.rank == owner:
            assert b is not None
            drawn = self._draw_bits(b.shape, b.width, owner, before)
            rest = b ^ drawn
            p.send(after, rest)
            return Bool((drawn, rest))
        assert shape is not None and width is not None
        nothing = Bits.zeros(tuple(shape), width)
        if p.rank == before:
            return Bool((nothing, self._draw_bits(tuple(shape), width, owner, before)))
        return Bool((await p.recv(owner, nothing), nothing))

    @cost(rounds="1", bits="k * ranks")
    async def reveal_to(self, x: Arith, ranks: Iterable[int]) -> Array | None:
        """Party i lacks xi-1, which party i-1 sends."""
        p, ranks = self.party, frozenset(ranks)
        if (p.rank + 1) % 3 in ranks:
            p.send((p.rank + 1) % 3, x.parts[0])
        if p.rank not in ranks:
            return None
        total = ring.add(x.parts[0], x.parts[1])
        return ring.add(total, await p.recv((p.rank + 2) % 3, x.parts[0]))

    @cost(rounds="1", bits="w * ranks")
    async def reveal_bits_to(self, b: Bool, ranks: Iterable[int]) -> Bits | None:
        """As `reveal_to`."""
        p, ranks = self.party, frozenset(ranks)
        if (p.rank + 1) % 3 in ranks:
            p.send((p.rank + 1) % 3, b.parts[0])
        if p.rank not in ranks:
            return None
        return b.parts[0] ^ b.parts[1] ^ await p.recv((p.rank + 2) % 3, b.parts[0])

    # ---- products -----------------------------------------------------------------------------------------------

    @cost(rounds=ROTATE, bits="3*k")
    async def mul(self, x: Arith, y: Arith) -> Arith:
        """Of the nine products xi yj party i can compute three. A share of zero hides their sum, which goes to the
        party before, so that each again holds two of three addends.
        """
        return await self._parts(self._mul, x, y)

    async def _mul(self, x: Arith, y: Arith) -> Arith:
        z = self._cross(x, y)
        return Arith((z, await self.party.rotate(z)))

    @cost(rounds=ROTATE, bits="3*k")
    async def square(self, x: Arith) -> Arith:
        """As `mul`: xi (xi + 2 xi+1) at party i."""
        return await self._parts(self._square, x)

    async def _square(self, x: Arith) -> Arith:
        z = ring.square_cross(*x.parts, *self._zero_keys())
        return Arith((z, await self.party.rotate(z)))

    @cost(rounds=ROTATE, bits="3*k")
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        """As `mul`."""
        z = await self._hidden_matmul(ring.cross_matmul, x, y, products=2)
        return Arith((z, await self.party.rotate(z)))

    @cost(rounds=ROTATE, bits="3*w")
    async def and_(self, x: Bool, y: Bool) -> Bool:
        """As `mul`, in GF(2)."""
        check_shapes(x, y)
        a, b = x.parts[0], x.parts[1]
        z = Bits(
            ring.bits_cross(a.planes, b.planes, y.parts[0].planes, y.parts[1].planes, *self._zero_keys(), x.size),
            x.shape,
        )
        return Bool((z, await self.party.rotate(z)))

    # ---- truncation ---------------------------------------------------------------------------------------------

    @cost(rounds=f"{AHEAD} + {MEET} if d else 0", bits="k + 3*d if d else 0")
    async def trunc(self, x: Arith, d: int) -> Arith:
        """[floor(x / 2^d)] + {0, 1} from the two addends; see `_truncated`. A coin that all three know moves from one
        addend to the other: else numbers whose parts all end in zeros would always be rounded up.
        """
        if d == 0:
            return x
        return await self._parts(lambda part: self._trunc(part, d), x)

    async def _trunc(self, x: Arith, d: int) -> Arith:
        first, second = self.addends(x)
        coin = self.party.key(0, 1, 2)
        if first is not None:
            return await self._truncated(ring.add_stream(first, coin), None, None, d)
        assert second is not None
        return await self._truncated(None, ring.sub_stream(second, coin), None, d)

    @cost(rounds=FUSED_ROUNDS, bits=FUSED_BITS)
    async def mul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """[floor(x y / 2^d)] + {0, 1}: the product is never reshared. Party 0 takes its addend z0 of it as the first
        addend; the others tell each other theirs, and z1 + z2 is the second.
        """
        d = self.fraction_bits if d is None else d
        if d == 0:
            return await self.mul(x, y)
        n = max(x.size, y.size)
        return await self._parts_in_place(lambda x, y, at: self._reduced(self._cross(x, y), d, n, at), x, y)

    @cost(rounds=FUSED_ROUNDS, bits=FUSED_BITS)
    async def square_trunc(self, x: Arith, d: int | None = None) -> Arith:
        """As `mul_trunc`."""
        d = self.fraction_bits if d is None else d
        if d == 0:
            return await self.square(x)
        n = x.size

        def piece(x: Arith, places: Places) -> Coroutine[Any, Any, Arith]:
            return self._reduced(ring.square_cross(*x.parts, *self._zero_keys()), d, n, places)

        return await self._parts_in_place(piece, x)

    @cost(rounds=FUSED_ROUNDS, bits=MATMUL_BITS)
    async def matmul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """As `mul_trunc`. Large products come from shares of *twice* the result, which take one matrix product a party
        instead of two (aby3.md, section 4.6), less one more bit: so every output must be below 2^(k-3).
        """
        d = self.fraction_bits if d is None else d
        if d == 0:
            return await self.matmul(x, y)
        if min(x.shape[-2], y.shape[-1]) < THIN:
            z = await self._hidden_matmul(ring.cross_matmul, x, y, products=2)
        else:
            z = await self._hidden_matmul(ring.weighted_matmul, x, y, TWICE[self.party.rank], products=1)
            d += 1
        return await self._reduced(z, d, z.size, ANYWHERE)

    def _reduced(self, z: Array, d: int, n: int, places: Places) -> Coroutine[Any, Any, Arith]:
        """Truncate a sum z0 + z1 + z2 of which each party has one addend, hidden by a share of zero; n elements (of
        which z may be a part) say in which form: see few.py.
        """
        if n > self.few:
            return self._dealt(z, d, places)
        return self._truncated(z, None, None, d) if self.party.rank == 0 else self._told(z, d)

    async def _told(self, z: Array, d: int) -> Arith:
        return await self._truncated(None, z, await self.party.exchange(3 - self.party.rank, z), d)

    async def _truncated(self, r: Array | None, c: Array | None, also: Array | None, d: int) -> Arith:
        """[floor((r + c + also) / 2^d)] + {0, 1}, r known to party 0, c and `also` (None: 0) to the others.

        Shifting both addends is right up to a carry and a wrap. The wrap is 1 - U V, with U and V the complements of
        the top bits of r + 2^(k-2) and of c, and is needed mod 2^d only: a cross product of one term (kernels_trunc).
        The carry is the error: 1 in the last place if (z mod 2^d) >= (r mod 2^d), else 0.
        """
        p = self.party
        if r is not None:
            rest, unit, near, far = mpc.trunc_first(r, d, p.key(0, 1), p.key(0, 1), p.key(0, 1), p.key(0, 2))
            p.send(2, rest)
            p.send(2, unit)
            return Arith((far, near))
        assert c is not None
        if p.rank == 1:
            drawn = p.key(0, 1), p.key(0, 1)
            high, product, side = mpc.trunc_meet(c, also, d, p.key(0, 1), drawn=drawn)
        else:
            received = await p.recv(0, c), await p.recv(0, packed(c.size, d))
            high, product, side = mpc.trunc_meet(c, also, d, p.key(0, 2), received=received)
        mpc.trunc_last(high, product, await p.exchange(3 - p.rank, product), d)
        return Arith((side, high) if p.rank == 1 else (high, side))

    async def _dealt(self, z: Array, d: int, places: Places = ANYWHERE) -> Arith:
        """As `_reduced` with fewer bytes and a third round: only party 1 gets z2, so that U is known to party 0 and V
        to party 1 alone. They tell each other c' = U ^ rho and d' = V ^ s, bits that party 2 has in common with the
        one and the other; party 2 deals shares of rho s, and U V = (c' ^ rho)(d' ^ s) is local from there.
        """
        p, (own, following) = self.party, places
        match p.rank:
            case 2:
                rho, s = self._draw_planes(1, z.size, 0, 2), self._draw_planes(1, z.size, 1, 2)
                p.send(1, z)
                p.send(1, mpc.trunc_deal(rho, s, z, d, p.key(0, 2)))
                return self._draws(z.shape, 1, 0, places)
            case 0:
                rho, dealt = self._draw_planes(1, z.size, 0, 2), p.key(0, 2)
                mine = ring.bits_xor(mpc.trunc_units(z, None, True), rho)
                p.send(1, mine)
                theirs = await p.recv(1, mine)
                key = p.key(0, 2)
                mask, hidden = mpc.trunc_half(z, None, d, rho, mine, theirs, key, dealt, out=own)
                p.send(1, hidden)
                return Arith((mask, ring.add(hidden, await p.recv(1, hidden), out=following)))
            case _:
                s = self._draw_planes(1, z.size, 1, 2)
                other = await p.recv(2, z)
                dealt = await p.recv(2, packed(z.size, d))
                mine = ring.bits_xor(mpc.trunc_units(z, other, False), s)
                p.send(0, mine)
                theirs = await p.recv(0, mine)
                key = p.key(1, 2)
                mask, hidden = mpc.trunc_half(z, other, d, s, theirs, mine, key, received=dealt, out=following)
                p.send(0, hidden)
                return Arith((ring.add(hidden, await p.recv(0, hidden), out=own), mask))

    def _draws(self, shape: tuple[int, ...], before: int, after: int, places: Places = ANYWHERE) -> Arith:
        """A share of which this party draws one part with party `before`, the other with party `after`."""
        p, (own, following) = self.party, places
        first = p.draw(shape, self.dtype, before, p.rank, out=own)
        return Arith((first, p.draw(shape, self.dtype, after, p.rank, out=following)))

    # ---- functions of the two addends ---------------------------------------------------------------------------

    @cost(rounds=f"{AHEAD} + {MEET}", bits="(terms + 2) * k")
    async def cross_product(
        self, left: Sequence[Array] | None, right: Sequence[Array] | None, terms: int, shape: Sequence[int]
    ) -> Arith:
        """[sum of left[j] * right[j]]: left[j] known to party 0, right[j] to parties 1 and 2 (None elsewhere)."""
        shape = tuple(shape)
        shares = [await self.split(left[j] if left else None, shape) for j in range(terms)]
        half = None
        for share, v in zip(shares, right or (), strict=False):
            assert share is not None
            product = ring.mul(share, v)
            half = product if half is None else ring.add(half, product)
        return await self.join(half, shape)

    @cost(rounds=AHEAD, bits="k")
    async def split(self, u: Array | None, shape: Sequence[int]) -> Array | None:
        """Shares of u, known to party 0, for parties 1 and 2: the sum of what they get is u."""
        p, shape = self.party, tuple(shape)
        if u is not None:
            p.send(2, ring.sub_stream(u, p.key(0, 1)))
            return None
        if p.rank == 1:
            return p.draw(shape, self.dtype, 0, 1)
        received: Array = await p.recv(0, Spec(shape, self.dtype))
        return received

    @cost(rounds=MEET, bits="2*k")
    async def join(self, half: Array | None, shape: Sequence[int]) -> Arith:
        """[half1 + half2] of what parties 1 and 2 have; party 0 passes None.

        x1 and x0 are fresh draws of party 0 with party 1 and with party 2, x2 is the rest.
        """
        p, shape = self.party, tuple(shape)
        if half is None:
            return self._draws(shape, 2, 1)
        mask = p.draw(shape, half.dtype, 0, p.rank)
        return await self._joined(mask, ring.sub(half, mask))

    async def _joined(self, mask: Array, hidden: Array, place: Array | None = None) -> Arith:
        """The end of `join` at parties 1 and 2."""
        rest = ring.add(hidden, await self.party.exchange(3 - self.party.rank, hidden), out=place)
        return Arith((mask, rest) if self.party.rank == 1 else (rest, mask))

    # ---- bits times numbers -------------------------------------------------------------------------------------

    @cost(rounds=f"{AHEAD} + {MEET}", bits="4*k")
    async def mul_bit(self, bit: Bool, x: Arith) -> Arith:
        """[bit * x]. With bit = u ^ v and x = a + c: v x + (u a)(1 - 2v) + u ((1 - 2v) c), and v x is local, since
        party 1 has x1 + x2 and party 2 has x0.
        """
        return await self._parts_in_place(self._mul_bit, bit, x)

    async def _mul_bit(self, bit: Bool, x: Arith, places: Places) -> Arith:
        p, (at_own, at_following) = self.party, places
        (b_own, b_next), (own, following) = (part.planes for part in bit.parts), x.parts
        if p.rank == 0:
            keys = p.key(0, 1), p.key(0, 1)
            product, unit = mpc.select_split(b_own, b_next, own, following, *keys)
            p.send(2, product)
            p.send(2, unit)
            return self._draws(x.shape, 2, 1, places)
        if p.rank == 1:
            drawn, key = (p.key(0, 1), p.key(0, 1)), p.key(0, 1)
            mask, hidden = mpc.select_join(b_next, own, following, following, key, drawn=drawn, out=at_own)
            return await self._joined(mask, hidden, at_following)
        received, key = (await p.recv(0, own), await p.recv(0, own)), p.key(0, 2)
        mask, hidden = mpc.select_join(b_own, following, None, own, key, received=received, out=at_following)
        return await self._joined(mask, hidden, at_own)

    @cost(rounds=f"{AHEAD} + {MEET}", bits="w*k - w*(w-1)/2 + 2*k")
    async def b2a(self, b: Bool) -> Arith:
        """[the number with the bits b]. Bit i is v + u (1 - 2v), so the number is the sum of 2^i times that, and of
        u at bit i only k - i bits matter.
        """
        return await self._parts(self._b2a, b)

    async def _b2a(self, b: Bool) -> Arith:
        p, total = self.party, full(0, b.shape, self.dtype)
        own, following = (part.planes for part in b.parts)
        if p.rank == 0:
            p.send(2, mpc.compose_split((b.parts[0] ^ b.parts[1]).planes, total, p.key(0, 1)))
            return await self.join(None, b.shape)
        if p.rank == 1:
            mpc.compose_join(following, total, True, key=p.key(0, 1))
        else:
            size = sum(-(-total.size * (self.k - i) // 8) for i in range(b.width))
            received = await p.recv(0, packed(size, 8))
            mpc.compose_join(own, total, False, received=received)
        return await self.join(total, b.shape)

    # ---- comparisons: carries of first + second addend ------------------------------------------------------------

    @cost(rounds=f"{AHEAD} + ({carry.TOP_STAGES}) * {MEET}", bits=carry.TOP_BITS)
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        """[x < 0]: with l = bound, the top bit of the sum of the addends mod 2^l, its carry joined three by three."""
        width = x.k if bound is None else max(2, min(bound, x.k))
        return await self._parts(lambda part: self._msb(part, width), x)

    async def _msb(self, x: Arith, width: int) -> Bool:
        plan, bits = carry.top(width), self._addend_bits(x, width)
        shares, state = await self._leaves(plan, bits, x.size)
        for level in plan.levels:
            state = await self._level(level, state, x.size)
        top = self._word_bits(bits, shares, plan, width - 1, width)
        sums = [ring.bits_xor(a, part[plan.result]) for a, part in zip(top, state, strict=True)]
        return self._bits(x.shape, sums)

    @cost(rounds=f"{AHEAD} + ({carry.WORD_STAGES}) * {MEET}", bits=carry.WORD_BITS)
    async def a2b(self, x: Arith, width: int | None = None) -> Bool:
        """[the low bits of x]: the carry into every position of the sum of the addends, by a prefix tree over blocks
        of three, then within the blocks.
        """
        width = x.k if width is None else width
        return await self._parts(lambda part: self._a2b(part, width), x)

    async def _a2b(self, x: Arith, width: int) -> Bool:
        plan, bits = carry.word(width), self._addend_bits(x, width)
        shares, state = await self._leaves(plan, bits, x.size)
        for level in plan.levels:
            state = await self._level(level, state, x.size)
        inner = await self._inner(plan, bits, shares, state, x.size)
        word = self._word_bits(bits, shares, plan, 0, width)
        for part, carries, within in zip(word, state, inner, strict=True):
            part[plan.carried] ^= carries[plan.carriers]
            part[plan.within] ^= within
        return self._bits(x.shape, word)

    @cost(rounds=f"{AHEAD} + ({carry.ZERO_STAGES}) * {MEET}", bits=carry.ZERO_BITS)
    async def equal(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        """[x == y]: the first addend of the difference is minus the second, in all of l = bound bits at once."""
        width = x.k if bound is None else max(1, min(bound, x.k))
        return await self._parts(lambda part: self._is_zero(part, width), self.sub(x, y))

    async def _is_zero(self, x: Arith, width: int) -> Bool:
        plan = carry.zero(width)
        first, second = self.addends(x)
        if second is not None:
            bits = ~Bits.from_ring(ring.neg(second), width)
        else:
            assert first is not None
            bits = Bits.from_ring(first, width)
        _, state = await self._leaves(plan, bits.planes, x.size)
        for level in plan.levels:
            state = await self._level(level, state, x.size)
        return self._bits(x.shape, [part[plan.result] for part in state])

    def _addend_bits(self, x: Arith, width: int) -> Array:
        """The low bits of the addend that this party knows, as planes."""
        first, second = self.addends(x)
        known = second if first is None else first
        assert known is not None
        planes: Array = Bits.from_ring(known, width).planes
        return planes

    async def _leaves(self, plan: carry.Plan, bits: Array, n: int) -> tuple[Array, State]:
        """The first stage of a plan: (shares of products of the first addend's bits, the state)."""
        return await self._stage(
            (plan.leaf_products, plan.leaf_outputs, n),
            lambda shares: mpc.leaf_products(bits, plan.leaves, shares),
            lambda shares, masks, lead: mpc.leaf_join(shares, bits, plan.leaves, lead, masks),
        )

    async def _level(self, level: carry.Level, state: State, n: int) -> State:
        """One stage of joins; the new rows replace those of the highest range of each join."""
        u, v = self._oriented(state)
        _, fresh = await self._stage(
            (level.products, level.outputs, n),
            lambda shares: mpc.node_products(*state, level.jobs, shares),
            lambda shares, masks, lead: mpc.node_join(shares, u, v, level.jobs, lead, masks),
        )
        for old, new in zip(state, fresh, strict=True):
            old[level.rows] = new
        return state

    async def _inner(self, plan: carry.Plan, bits: Array, leaf: Array, state: State, n: int) -> State:
        """The carries within the blocks, from the carries into them."""
        jobs = plan.inner
        if not len(jobs):
            return self._no_planes(n), self._no_planes(n)
        u, v = self._oriented(state)
        _, carries = await self._stage(
            (3 * len(jobs), 2 * len(jobs), n),
            lambda shares: mpc.inner_products(bits, *state, jobs, shares),
            lambda shares, masks, lead: mpc.inner_join(leaf, shares, bits, u, v, jobs, lead, masks),
        )
        return carries

    async def _stage(
        self,
        rows: tuple[int, int, int],
        products: Callable[[Array], None],
        outputs: Callable[[Array, Array, bool], Array],
    ) -> tuple[Array, State]:
        """A cross product in GF(2) for many outputs at once; `rows` counts products, outputs and elements.

        Party 0 adds its `products` to draws that it has in common with party 1: the shares of party 2. The others
        evaluate their halves of the `outputs`, masked; the first of them adds what depends on second addends alone.

        Returns: the shares of the products (at party 0 those of party 2), and the outputs.
        """
        p = self.party
        count, results, n = rows
        if p.rank == 2:
            shares = await p.recv(0, Spec((count, -(-n // 64)), np.dtype(np.uint64)))
        else:
            shares = self._draw_planes(count, n, 0, 1)
        if p.rank == 0:
            products(shares)
            p.send(2, shares)
        if not results:
            return shares, (self._no_planes(n), self._no_planes(n))
        if p.rank == 0:
            return shares, (self._draw_planes(results, n, 0, 2), self._draw_planes(results, n, 0, 1))
        masks = self._draw_planes(results, n, 0, p.rank)
        half = outputs(shares, masks, p.rank == 1)
        rest = ring.bits_xor(half, await p.exchange(3 - p.rank, half))
        return shares, (masks, rest) if p.rank == 1 else (rest, masks)

    def _oriented(self, state: State) -> State:
        """At parties 1 and 2: its share of the first addends, and the second addends."""
        return state if self.party.rank == 1 else (state[1], state[0])

    def _word_bits(self, bits: Array, shares: Array, plan: carry.Plan, start: int, stop: int) -> tuple[Array, Array]:
        """Shares of the bits start..stop-1 of first ^ second addend; the first's travelled with the products."""
        mine, shared = bits[start:stop], shares[plan.plain[start:stop]]
        match self.party.rank:
            case 0:
                return shared, ring.bits_xor(mine, shared)
            case 1:
                return shared, mine.copy()
            case _:
                return mine.copy(), shared

    # ---- elementary functions ------------------------------------------------------------------------------------

    exp, log, sigmoid, tanh = functions.exp, functions.log, functions.sigmoid, functions.tanh
    erf, sin, cos = functions.erf, functions.sin, functions.cos
    reciprocal, divide, sqrt, rsqrt = functions.reciprocal, functions.divide, functions.sqrt, functions.rsqrt

    # ---- orders: aby3_order.py ------------------------------------------------------------------------------------

    has_order = True
    shuffle, place, take, order = orders.shuffle, orders.place, orders.take, orders.order

    # ---- helpers ------------------------------------------------------------------------------------------------

    def _zero_keys(self) -> tuple[bytes, bytes]:
        """Keys of a share of zero: what the first gives minus what the second gives, summed over parties, is zero."""
        plus, minus = NEIGHBOURS[self.party.rank]
        return self.party.key(*plus), self.party.key(*minus)

    def _cross(self, x: Arith, y: Arith) -> Array:
        if x.shape != y.shape:
            shape = x.shape or y.shape
            x, y = (s.map(lambda part: np.broadcast_to(part, shape)) for s in (x, y))
        z: Array = ring.cross(*x.parts, *y.parts, *self._zero_keys())
        return z

    async def _hidden_matmul(self, kernel: Kernel, x: Arith, y: Arith, *weights: Any, products: int) -> Array:
        """This party's part of a matrix product, which takes it so many local ones, hidden by a share of zero."""
        work = products * x.size * y.shape[-1]
        z = await self.party.compute(kernel, *x.parts, *y.parts, *weights, cost_ns=work / 10)
        hidden: Array = ring.add(z, ring.zero(z.shape, z.dtype, *self._zero_keys()))
        return hidden

    def _draw_planes(self, rows: int, n: int, *ranks: int) -> Array:
        planes: Array = ring.bits_stream(self.party.key(*ranks), rows, n)
        return planes

    def _draw_bits(self, shape: tuple[int, ...], width: int, *ranks: int) -> Bits:
        n = int(np.prod(shape, dtype=np.int64))
        return Bits(self._draw_planes(width, n, *ranks), shape)

    @staticmethod
    def _no_planes(n: int) -> Array:
        return np.zeros((0, -(-n // 64)), np.uint64)

    @staticmethod
    def _bits(shape: tuple[int, ...], parts: Sequence[Array]) -> Bool:
        return Bool(tuple(Bits(part, shape) for part in parts))

    def _parts(
        self, operation: Operation, *shares: Arith | Bool, limit: int = IN_FLIGHT, size: int = PART
    ) -> Coroutine[Any, Any, Any]:
        """Apply an elementwise operation in parts of `size` elements, side by side, if there are more than `PART`."""
        shares, whole = operands(shares, PART)
        return operation(*shares) if whole else side_by_side(operation, shares, limit, size)

    def _parts_in_place(self, operation: Operation, *shares: Arith | Bool) -> Coroutine[Any, Any, Arith]:
        """`_parts` of an operation that takes `Places` as well, and may put its result there instead of anywhere."""
        shares, whole = operands(shares, PART)
        return operation(*shares, ANYWHERE) if whole else side_by_side(operation, shares, IN_FLIGHT, PART, self.dtype)
