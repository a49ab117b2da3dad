"""Additive shares of n parties without a dealer: everything by oblivious transfer and lattice encryption between pairs.

What every pair of parties has between runs is `Pair`: a long row of correlated transfers in each direction, and keys.
On them stand three kinds of product of what one party knows and what another knows, as parts that add up to it:

* `_scaled`    bits of one times numbers of the other: a correlated transfer a bit (Gilboa, CRYPTO 1999)
* `lots.py`    bits times bits, of random ones: no message (triples from the pads of transfers)
* `_cross`     numbers times numbers: many by lattice encryption, few by `_scaled`, bit by bit

A product of shared values is the sum of such products over all ordered pairs, and of what each party computes alone.
transfers.md has what every message hides.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Coroutine, Sequence
from math import prod
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from .._core import ot, prf, ring, rlwe
from ..runtime import cost, gather
from . import adder, chains, ripple
from . import additive_order as orders
from . import transfer_costs as costs
from .additive import Column, minus, plus
from .additive_order import Ordered
from .bits import Bits
from .convolution import Convolution
from .lots import Lot, LotOfMany, LotOfTwo
from .pair import Pair, messages_of
from .parts import operands, side_by_side
from .protocol import Arith, Array, Bool, Protocol, full  # noqa: F401  # of formulas

T = TypeVar("T")

DIGIT = 3
"""Bits of a comparison's digits. For 40 bits with a tree above: 63 transfers and 290 bits sent; 58 and 443 with 4, 77
and 270 with 2."""

WIDTH = "max(1, min(l, k))"
"""Bits of the parts that count, of a number with a bound."""

SIZES = ", ".join(Convolution._fields)
"""Of a convolution."""

ENCRYPTED = f"costs.encrypts_images(k, {SIZES})"


def _names_peer(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Messages of the peer that are not what they should be end in an error that names it; the peer is the first
    argument."""

    @functools.wraps(method)
    async def named(self: Any, peer: int, *args: Any, **kwargs: Any) -> T:
        with messages_of(peer):
            return await method(self, peer, *args, **kwargs)

    return named


class Transfers(Ordered):
    """n parties, any n - 1 of which may be curious together."""

    repeats: ClassVar[bool] = False

    lot: Lot | None = None
    """Correlations at hand for the circuit that runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.digit = DIGIT if self.n == 2 else 1

    @property
    def variables(self) -> dict[str, int]:
        return super().variables | {"digit": self.digit}

    # ---- products of private values -------------------------------------------------------------------------------

    @_names_peer
    async def _scaled(
        self,
        peer: int,
        bits: Bits | None,
        deltas: Array | None,
        width: int,
        shift: int,
        n: int,
        dtype: np.dtype[Any] | None = None,
        sums: int = 1,
    ) -> Array:
        """This party's part of the sum over j < width of 2^(j+shift) b_j d, for n bits b_j that one has, and numbers
        d that the other has, (n,) or of each j their own, (width, n). Of several sums with the same bits, as many as
        128 bits have room for, numbers and parts are one after the other, (sums, ...).

        With `bits` this party has the bits of such a sum, with `deltas` the numbers of one; it may be in both: then the
        sums are added up.

        The receiver sends where its range of correlations starts, and which of their bits differ from its own; the
        sender one number mod 2^(k-shift-j) for each.
        """
        dtype = self.dtype if dtype is None else dtype
        p, pair, total = self.party, self._pair(peer), full(0, (n,) if sums == 1 else (sums, n), dtype)
        if n == 0:
            return total
        if bits is not None:
            into = await pair.chosen(p, bits.planes, n)
        if deltas is not None:
            out = await pair.followed(p, width * n)
            mine, message = await p.compute(out.weighted, deltas, n, width, shift, sums, cost_ns=30 * width * n)
            p.send(peer, message)
            total = ring.add(total, mine.reshape(total.shape))
        if bits is not None:
            answer: bytes = await p.recv(peer, sums * costs.scaled_bytes(8 * dtype.itemsize, n, width, shift))
            theirs = await p.compute(into.weighted, dtype, n, width, shift, answer, sums, cost_ns=20 * width * n)
            total = ring.add(total, theirs.reshape(total.shape))
        return total

    @_names_peer
    async def _cross(self, peer: int, x: Array, y: Array) -> Array:
        """This party's part of x y' + x' y, for flat x and y here and x' and y' at the peer."""
        n = x.size
        if costs.by_transfers(self.k, n):
            return await self._scaled(peer, Bits.from_ring(x, self.k), y, self.k, 0, n)
        return await self._products_of_both(peer, [x, y], self.k, self.k, self.k)

    @_names_peer
    async def _one_cross(self, peer: int, x: Array) -> Array:
        """This party's part of 2 x x': one product, which the one of higher rank asks for."""
        n, asks = x.size, self.party.rank > peer
        if costs.by_transfers(self.k, n):
            width = self.k - 1
            bits = Bits.from_ring(x, width) if asks else None
            return await self._scaled(peer, bits, None if asks else x, width, 1, n)
        return ring.shl(await self._encrypted_products(peer, [x], asks, self.k, self.k, self.k), 1)

    async def _products_of_both(self, peer: int, own: Sequence[Array], *widths: int) -> Array:
        """As `_encrypted_products`, each party asking for half."""
        first, second = costs.ciphertexts(own[0].size)
        asks = self.party.rank > peer
        found = await gather(
            self._encrypted_products(peer, [x[:first] for x in own], asks, *widths),
            *(self._encrypted_products(peer, [x[first:] for x in own], not asks, *widths) for _ in range(second > 0)),
        )
        return np.concatenate(found) if second else found[0]

    @_names_peer
    async def _encrypted_products(self, peer: int, own: Sequence[Array], asks: bool, *widths: int) -> Array:
        """This party's part of x x', or of x y' + y x' where both have x and y, by lattice encryption of these widths:
        one of the two asks for all."""
        p, like, terms = self.party, own[0], len(own)
        keys = await self._pair(peer).lattice(p, "products", *widths)
        up, down = keys.sizes(like.size, terms)
        found: Array
        if asks:
            p.send(peer, await p.compute(keys.request, *own), head=rlwe.HEADER)
            found = await p.compute(keys.finish, like.shape, like.dtype, await p.recv(peer, down))
        else:
            answer, found = await p.compute(keys.answer, await p.recv(peer, up), *reversed(own))
            p.send(peer, answer, head=rlwe.HEADER)
        return found

    @_names_peer
    async def _cross_matmul(self, peer: int, x: Array, y: Array) -> Array:
        """This party's part of x @ y' + x' @ y, of two matrices."""
        (m, inner), (_, columns) = x.shape, y.shape
        if costs.by_transfers(self.k, m * inner * columns):
            every = (m, inner, columns)
            left = np.ascontiguousarray(np.broadcast_to(x[:, :, None], every)).reshape(-1)
            right = np.ascontiguousarray(np.broadcast_to(y[None], every)).reshape(-1)
            products = await self._cross_in_parts(peer, left, right)
            return ring.sum(products.reshape(every), (1,))
        kind = "merging" if costs.merging(self.k, m, inner, columns) else "matrices"
        keys = await self._pair(peer).lattice(self.party, kind, self.k, self.k)
        return await self._both_ask(
            peer,
            keys.sizes(m, inner, columns),
            lambda: keys.request(x, y),
            lambda request: keys.answer(request, x, y),
            lambda answer: keys.finish(m, inner, columns, x.dtype, answer),
        )

    @_names_peer
    async def _cross_convolution(self, peer: int, sizes: Convolution, image: Array, kernels: Array) -> Array:
        """This party's part of the convolutions of its image by the peer's kernels and of the peer's by its own."""
        shape = tuple(sizes)[1:]
        keys = await self._pair(peer).lattice(self.party, "convolutions", self.k, self.k)
        return await self._both_ask(
            peer,
            keys.sizes(shape),
            lambda: keys.request(shape, image),
            lambda request: keys.answer(shape, request, kernels),
            lambda answer: keys.finish(shape, image.dtype, answer),
        )

    async def _both_ask(
        self,
        peer: int,
        sizes: tuple[int, int],
        request: Callable[[], bytes],
        answer: Callable[[Any], tuple[bytes, Array]],
        finish: Callable[[Any], Array],
    ) -> Array:
        """This party's part of two products by lattice encryption, of which each asks for one. `sizes` are the bytes of
        a request and of an answer."""
        p, (up, down) = self.party, sizes
        p.send(peer, await p.compute(request), head=rlwe.HEADER)
        message, mine = await p.compute(answer, await p.recv(peer, up))
        p.send(peer, message, head=rlwe.HEADER)
        return ring.add(mine, await p.compute(finish, await p.recv(peer, down)))

    async def _cross_in_parts(self, peer: int, x: Array, y: Array) -> Array:
        """`_cross` of long arrays."""

        async def cross(x: Arith, y: Arith) -> Arith:
            return Arith((await self._cross(peer, x.parts[0], y.parts[0]),))

        (found,) = (await self._parts(cross, Arith((x,)), Arith((y,)))).parts
        return found

    # ---- products of shared values --------------------------------------------------------------------------------

    @cost(rounds="costs.product_rounds(k, n, members)", bits="costs.product_bits(k, n, members)")
    async def mul(self, x: Arith, y: Arith) -> Arith:
        """The products of all pairs of parts."""
        if x.shape != y.shape:
            shape = x.shape if x.shape else y.shape
            x, y = (Arith((np.ascontiguousarray(np.broadcast_to(v.parts[0], shape)),)) for v in (x, y))
        return await self._parts(self._mul, x, y)

    async def _mul(self, x: Arith, y: Arith) -> Arith:
        a, b = x.parts[0].reshape(-1), y.parts[0].reshape(-1)
        own = ring.mul(a, b)
        return await self._over_pairs(own, x.shape, lambda peer: self._cross(peer, a, b))

    @cost(rounds="costs.waves(n) * costs.asked(members)", bits="costs.square_bits(k, n, members)")
    async def square(self, x: Arith) -> Arith:
        """As `mul`, with half of the products."""
        return await self._parts(self._square, x)

    async def _square(self, x: Arith) -> Arith:
        a = x.parts[0].reshape(-1)
        return await self._over_pairs(ring.mul(a, a), x.shape, lambda peer: self._one_cross(peer, a))

    @cost(
        rounds="costs.matrix_waves(k, n, left, right) * costs.crossed(members)",
        bits="costs.matrix_bits(k, n, left, right, members)",
    )
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        """As `mul`, of matrices."""
        a, b = x.parts[0], y.parts[0]
        lead, (m, inner), columns = x.shape[:-2], x.shape[-2:], y.shape[-1]
        work = 2 * x.size * columns
        own = await self.party.compute(ring.matmul, a, b, cost_ns=work / 10)
        if not own.size or not inner:
            return Arith((own,))

        def product(u: Array, v: Array, z: Array) -> Coroutine[Any, Any, Arith]:
            return self._over_pairs(z, z.shape, lambda peer: self._cross_matmul(peer, u, v))

        every = zip(a.reshape(-1, m, inner), b.reshape(-1, inner, columns), own.reshape(-1, m, columns), strict=True)
        found = await gather(*(product(*matrices) for matrices in every), limit=costs.IN_FLIGHT)
        if len(found) == 1:
            return found[0].reshape((*lead, m, columns))
        return Arith((np.stack([z.parts[0] for z in found]).reshape((*lead, m, columns)),))

    @cost(
        rounds=f"costs.crossed(members) if {ENCRYPTED} else Protocol.convolve()",
        bits=f"costs.convolution_bits(k, n, members, {SIZES}) if {ENCRYPTED} else Protocol.convolve()",
    )
    async def convolve(self, x: Arith, w: Arith, stride: int) -> Arith:
        """As `matmul`, of one image and its kernels, where these take fewer bytes than matrices do."""
        sizes = Convolution.of(x.shape, w.shape, stride)
        if not costs.encrypts_images(self.k, *sizes):
            return await super().convolve(x, w, stride)
        a, b, single = x.parts[0], w.parts[0], sizes.single
        image, kernels = sizes.image(a), sizes.finer(b)

        async def product(peer: int) -> Array:
            return sizes.apart(await self._cross_convolution(peer, single, image, kernels))

        own = await self.party.compute(_convolved, sizes, a, b, cost_ns=2 * prod(sizes.matrices) / 10)
        return await self._over_pairs(own, sizes.shape, product)

    # ---- truncation -----------------------------------------------------------------------------------------------

    @cost(
        rounds="(costs.waves(n) * costs.asked(2) if members == 2 else chains.trunc()) if d else 0",
        bits="(costs.scaled_bits(k, n, 1, k-d) if members == 2 else 2 * chains.trunc()) if d else 0",
    )
    async def trunc(self, x: Arith, d: int) -> Arith:
        """[floor(x / 2^d)] + {0, 1} for |x| < 2^(k-2); of x + 2^(k-2) =: z, which has no sign and no top bit."""
        if not 0 <= d <= x.k - 2:
            raise ValueError(f"{d} bits to drop; wanted 0 to {x.k - 2}")
        if d == 0:
            return x
        z = self.add_public(x, 1 << (x.k - 2))
        if self.n == 2:
            found = await self._parts(lambda part: self._trunc_of_two(part, d), z)
        else:
            found = await chains.trunc(self, z, d)
        return self.add_public(found, -(1 << (x.k - 2 - d)))

    async def _trunc_of_two(self, z: Arith, d: int) -> Arith:
        """z0 + z1 wraps unless both top bits are zero, as z has none itself. So with U and V their complements

            floor(z / 2^d) = floor(z0 / 2^d) + floor(z1 / 2^d) + carry - (1 - U V) 2^(k-d)

        and U V is needed mod 2^d: one transfer (Guo et al., eprint 2025/200). For the carry 1 is added: the error is
        1 - carry. A draw that both have moves the parts against each other first.
        """
        p, k, n = self.party, z.k, z.size
        first = p.rank == 0
        part = (ring.add_stream if first else ring.sub_stream)(z.parts[0], p.key(0, 1)).reshape(-1)
        low = ring.invert(part)
        if first:
            wraps = await self._scaled(1, None, ring.shr(low, k - 1), 1, k - d, n)
        else:
            wraps = await self._scaled(0, Bits.from_ring(ring.shr(low, k - 1), 1), None, 1, k - d, n)
        part = ring.add(ring.shr(part, d), wraps)
        if first:
            part = ring.add(part, full(1 - (1 << (k - d)), (), self.dtype))
        return Arith((part.reshape(z.shape),))

    # ---- bits -----------------------------------------------------------------------------------------------------

    @cost(
        rounds="costs.lot_rounds(members) + costs.opened(members)", bits="costs.lot_bits(w, 1, members) + all * 2 * w"
    )
    async def and_(self, x: Bool, y: Bool) -> Bool:
        """See `ands`."""
        (both,) = await self.ands(x, [y])
        return both

    @cost(
        rounds="costs.lot_rounds(members) + costs.opened(members)",
        bits="costs.lot_bits(w, 2 if others > w else 1, members) + all * (w + others)",
    )
    async def ands(self, x: Bool, ys: Sequence[Bool]) -> list[Bool]:
        """Beaver's product (CRYPTO 1991): x ^ a and y ^ b are opened; what hides x is the same for all y."""
        lot = self.lot or await self._new_lot(x.shape, x.width, 0, len(ys))
        a, bs, cs = await lot.triples(x.width, [y.width for y in ys])
        opened = await self._open(x.parts[0] ^ a, *(y.parts[0] ^ b for y, b in zip(ys, bs, strict=True)))
        e, found = opened[0], []
        for y, b, c, f in zip(ys, bs, cs, opened[1:], strict=True):
            high = slice(x.width - y.width, x.width)
            other = b ^ f if self.party.rank == 0 else b
            z = c ^ (e.planes_at(high.start, high.stop) & other) ^ (a.planes_at(high.start, high.stop) & f)
            found.append(Bool((z,)))
        return found

    async def _digits(self, own: Bits) -> tuple[Bool, Bool]:
        """One of 2^digit transfers for each digit: the receiver's digit chooses, and what is sent is (G, P) for each
        that it could be, under a bit each of the sender (Rathee et al., CrypTFlow2, eprint 2020/1002, section 3.1)."""
        assert isinstance(self.lot, LotOfTwo)
        generate, passes = await self.lot.digits(own, self.digit)
        return Bool((generate,)), Bool((passes.planes_at(1, passes.width),))

    async def _private_and(self, own: Bits) -> Bool:
        """Each opens its word under one that it has from the correlation: u v = (e ^ r)(f ^ s)."""
        lot = self.lot or await self._new_lot(own.shape, 0, own.width, 1)
        mine, product = await lot.leaves(own.width)
        theirs = await self.party.exchange(1 - self.party.rank, own ^ mine)
        factor = own if self.party.rank == 0 else mine  # f u = f (e ^ r) here, and f r' there
        return Bool((product ^ (theirs & factor),))

    @cost(
        rounds="costs.waves(n) * costs.circuit_rounds(adder.word_rounds(w, members), members)",
        bits="costs.lot_bits(adder.word_joins(w, members), 2, members) + adder.word_bits(w, members, all, 0)",
    )
    async def a2b(self, x: Arith, width: int | None = None) -> Bool:
        """See `Additive.a2b`."""
        w = x.k if width is None else width
        joins, leaves = adder.word_joins(w, self.n), adder.leaf_count(w, self.n)

        async def part(x: Arith) -> Bool:
            return await adder.total(await self._stocked(x.shape, joins, leaves), x, w)

        return await self._parts(part, x)

    @cost(
        rounds=f"costs.sign_rounds(n, {WIDTH}, members, digit)",
        bits=f"costs.sign_bits(n, {WIDTH}, members, digit)",
    )
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        """See `Additive.msb`; of long arrays of two parties as in `ripple.py`."""
        w = self._width(x, bound)
        if costs.ripples(x.size, w, self.n):
            return await self._parts(lambda part: self._rippled(part, w), x, size=costs.LONG_PART)
        joins, leaves = adder.top_joins(w, self.n), adder.leaf_count(w, self.n)
        if self.digit > 1:
            joins, leaves = max(-(-(w - 1) // self.digit) - 1, 0), 0

        async def part(x: Arith) -> Bool:
            digits = w - 1 if self.digit > 1 else 0
            return await adder.sign(await self._stocked(x.shape, joins, leaves, digits=digits), x, w)

        return await self._parts(part, x)

    async def _rippled(self, x: Arith, w: int) -> Bool:
        own = self.addend(x, w)
        carry = await ripple.carry(self.party, own.planes_at(0, w - 1).reshape(x.shape))
        return Bool((own.planes_at(w - 1, w) ^ carry,))

    @cost(
        rounds=f"costs.waves(n) * costs.circuit_rounds(adder.zero_rounds({WIDTH}, members), members)",
        bits=f"""
        costs.lot_bits(adder.zero_joins({WIDTH}, members), 1, members) + adder.zero_bits({WIDTH}, members, all, 0)
        """,
    )
    async def equal(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        """See `Additive.equal`."""
        w = self._width(x, bound)
        joins = adder.zero_joins(w, self.n)

        async def part(x: Arith) -> Bool:
            return await adder.is_zero(await self._stocked(x.shape, joins, 0, 1), x, w)

        return await self._parts(part, self.sub(x, y))

    # ---- between numbers and bits ---------------------------------------------------------------------------------

    @cost(rounds="costs.b2a_rounds(n, w, members)", bits="costs.b2a_bits(k, n, w, members)")
    async def b2a(self, b: Bool) -> Arith:
        """The number of the parts' bits so far, s, meets one party's bit after the other: s ^ c = s + c - 2 s c."""
        if b.width == 0:
            return Arith((full(0, b.shape, self.dtype),))
        return await self._parts(self._b2a, b)

    async def _b2a(self, b: Bool) -> Arith:
        n, own = b.size, b.parts[0]
        bits = np.stack([own.planes_at(i, i + 1).to_ring(self.dtype).reshape(-1) for i in range(own.width)])
        if self.n > 2:
            numbers = await chains.b2a(self, bits)
            weighed = [ring.shl(numbers[i], i) for i in range(own.width)]
            return Arith((functools.reduce(ring.add, weighed).reshape(b.shape),))
        word = own.to_ring(self.dtype).reshape(-1)
        return Arith((ring.sub(word, await self._twice(own, bits, n)).reshape(b.shape),))

    async def _twice(self, own: Bits, bits: Array, n: int) -> Array:
        """Of two parties: this party's part of the sum of 2^(i+1) b_i b'_i, half of the bits asked for by each."""
        w = min(own.width, self.k - 1)
        half = (w + 1) // 2
        low, high = (0, half), (half, w)
        first = self.party.rank == 0

        def part(start: int, stop: int, asks: bool) -> Coroutine[Any, Any, Array]:
            planes = Bits(np.ascontiguousarray(own.planes[start:stop]), (n,)) if asks else None
            deltas = None if asks else np.ascontiguousarray(bits[start:stop])
            return self._scaled(1 - self.party.rank, planes, deltas, stop - start, start + 1, n)

        halves = ((low, not first), (high, first))
        found = await gather(*(part(*rows, asks) for rows, asks in halves if rows[0] < rows[1]))
        return functools.reduce(ring.add, found)

    @cost(rounds="costs.waves(n) * costs.mul_bit_rounds(members)", bits="costs.mul_bit_bits(k, n, members)")
    async def mul_bit(self, bit: Bool, x: Arith) -> Arith:
        """Of two parties i and j: b x_i = b_i x_i + b_j (1 - 2 b_i) x_i."""
        return await self._parts(self._mul_bit, bit, x)

    async def _mul_bit(self, bit: Bool, x: Arith) -> Arith:
        if self.n > 2:
            return await chains.mul_bit(self, bit, x)
        (product,) = await self._times(bit.parts[0].reshape((bit.size,)), x.parts[0].reshape(-1))
        return Arith((product.reshape(x.shape),))

    async def _times(self, bits: Bits, *numbers: Array) -> list[Array]:
        """Of two parties: this party's parts of the sums of 2^j b_j x, for flat parts of the bits and of each x: of two
        in a ring of 64 bits."""
        n, width, sums = bits.size, bits.width, len(numbers)
        rows = [bits.planes_at(j, j + 1).to_ring(self.dtype) for j in range(width)]
        mine = [[ring.mul(row, x) for row in rows] for x in numbers]
        turned = [ring.sub(x, ring.shl(own, 1)) for x, every in zip(numbers, mine, strict=True) for own in every]
        shape = (*(size for size in (sums, width) if size > 1), n)
        deltas = np.concatenate(turned).reshape(shape)
        found = await self._scaled(1 - self.party.rank, bits, deltas, width, 0, n, sums=sums)
        parts = found.reshape(sums, n)
        for every, part in zip(mine, parts, strict=True):
            for j, own in enumerate(every):
                part[...] = ring.add(part, ring.shl(own, j))
        return list(parts)

    # ---- orders ---------------------------------------------------------------------------------------------------

    @cost(rounds="costs.every_turn(members)", bits="costs.moved_bits(n, members, w)")
    async def shuffle(self, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
        return await orders.shuffle(self, values)

    @cost(
        rounds="costs.order_rounds(w, n, members)",
        bits="costs.order_bits(w, n, k, members, orders.index_width(n), 32)",
    )
    async def order(self, key: Bool) -> Bool:
        return await orders.order(self, key)

    @cost(
        rounds="costs.every_turn(members) + costs.opened(members) + costs.turns_back(members)",
        bits="""
        costs.moved_bits(n, members, w) + costs.moved_bits(n, members, orders.index_width(n))
        + all * orders.index_width(n)
        """,
    )
    async def take(self, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
        return await orders.take(self, values, order)

    @cost(
        rounds="costs.every_turn(members) + costs.opened(members)",
        bits="costs.moved_bits(n, members, w, orders.index_width(n)) + all * orders.index_width(n)",
    )
    async def place(self, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
        return await orders.place(self, values, places)

    def _permutations(self, n: int) -> list[Array | None]:
        me = self.party.rank
        return [prf.permutation(self.party.key(me), n) if rank == me else None for rank in range(self.n)]

    async def _moved(self, columns: Sequence[Column], index: Array | None, mover: int) -> list[Column]:
        """Every other party j sends the mover its part of x under a_j, and takes b_j for its new one; the mover
        permutes the sum of what it has, and adds a_j[index] - b_j, which it has from j by a network of switches, each
        a transfer (Mohassel and Sadeghian, EUROCRYPT 2013).
        """
        n, own = columns[0].shape[0], list(columns)
        kinds = [kind for column in columns for kind in _kinds(column)]
        if n == 0:
            return own
        switches = ot.switches(n)
        choices = np.zeros((1, 0), np.uint64) if index is None else ot.route(index)

        async def ask(peer: int) -> tuple[list[Column], list[Column]]:
            p = self.party
            cots = await self._pair(peer).chosen(p, choices, switches)
            hidden = [await p.recv(peer, column) for column in columns]
            message = await p.recv(peer, ot.permute_bytes(n, kinds))
            with messages_of(peer):
                rest = await p.compute(cots.permute, n, kinds, message)
            return hidden, _columns(rest, columns)

        async def answer() -> list[Column]:
            p = self.party
            cots = await self._pair(mover).followed(p, switches)
            masks, new, message = await p.compute(cots.permute, n, kinds)
            for column, mask in zip(columns, _columns(masks, columns), strict=True):
                p.send(mover, minus(column, mask))
            p.send(mover, message)
            return _columns(new, columns)

        every = await self._turn(mover, [rank for rank in range(self.n) if rank != mover], ask, answer)
        if index is None:
            (new,) = every
            return list(new)
        for hidden, _ in every:
            own = [plus(column, part) for column, part in zip(own, hidden, strict=True)]
        own = [orders.taken(column, index) for column in own]
        for _, rest in every:
            own = [plus(column, part) for column, part in zip(own, rest, strict=True)]
        return own

    # ---- details --------------------------------------------------------------------------------------------------

    async def _stocked(
        self, shape: tuple[int, ...], joins: int, leaves: int, strings: int = 2, digits: int = 0
    ) -> Self:
        """This protocol with a lot at hand for one circuit of such products, and of digits of so many bits."""
        if joins + leaves + digits == 0:
            return self
        found = copy.copy(self)
        found.lot = await self._new_lot(shape, joins, leaves, strings, digits)
        return found

    async def _new_lot(self, shape: tuple[int, ...], joins: int, leaves: int, strings: int, digits: int = 0) -> Lot:
        if self.n == 2:
            return LotOfTwo(self.party, shape, joins, leaves, digits)
        return await LotOfMany(self.party, self._others(), shape, joins, strings).begin()

    def _pair(self, peer: int) -> Pair:
        return self.party.kept(peer, Pair)

    def _parts(
        self, operation: Callable[..., Coroutine[Any, Any, Any]], *shares: Any, size: int = costs.PART
    ) -> Coroutine[Any, Any, Any]:
        """Apply an elementwise operation in parts, if there are many elements."""
        found, whole = operands(shares, size)
        return operation(*found) if whole else side_by_side(operation, found, costs.IN_FLIGHT, size)

    async def _over_pairs(
        self, own: Array, shape: tuple[int, ...], product: Callable[[int], Coroutine[Any, Any, Array]]
    ) -> Arith:
        """own, and the products with every other party."""
        me, every = self.party.rank, itertools.combinations(range(self.n), 2)
        # A task for each pair, also for those of others, so that both of a pair have it under one name.
        tasks = [product(a + b - me) if me in (a, b) else _nothing() for a, b in every]
        for found in await gather(*tasks):
            if found is not None:
                own = ring.add(own, found.reshape(own.shape))
        return Arith((own.reshape(shape),))

    async def _turn(
        self,
        asking: int,
        others: Sequence[int],
        ask: Callable[[int], Coroutine[Any, Any, Any]],
        answer: Callable[[], Coroutine[Any, Any, Any]],
    ) -> list[Any]:
        """One asks some of the others: there what it has of each, at each of these its answer, at the rest nothing."""
        me = self.party.rank
        tasks = [ask(rank) if me == asking else answer() if me == rank else _nothing() for rank in others]
        return [found for found in await gather(*tasks) if found is not None]


def _convolved(sizes: Convolution, x: Array, w: Array) -> Array:
    """The convolution of one party's parts."""
    return sizes.result(ring.matmul(sizes.patches(x), sizes.filters(w)))


async def _nothing() -> None:
    """The task of those whom it does not concern."""


def _kinds(column: Column) -> list[tuple[Any, int]]:
    """What the network of switches is told of a column, and the elements of a row; words of more than 64 bits are
    cut."""
    row = prod(column.shape[1:])
    if isinstance(column, Bits):
        return [(f"bits{min(column.width - i, 64)}", row) for i in range(0, column.width, 64)]
    return [(column.dtype, row)]


def _columns(rows: Sequence[Array], like: Sequence[Column]) -> list[Column]:
    """The columns of which the network gave the rows."""
    left, found = iter(rows), list[Column]()
    for column in like:
        if isinstance(column, Bits):
            widths = [min(column.width - i, 64) for i in range(0, column.width, 64)]
            words = [Bits.from_ring(next(left), width).reshape(column.shape) for width in widths]
            found.append(Bits.stack_planes(words) if words else column)
        else:
            found.append(next(left).reshape(column.shape))
    return found
