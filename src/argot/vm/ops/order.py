"""Orders: sorting, and what follows an order.

An order is a value of its own kind: for each place the index of the element that comes there, a permutation of all
indices. Only `order` and `random_order` make one and only `take_order`, `put_order` and `index_of` use it, because
following an order opens it in a shuffled form: of a permutation that says nothing, of any other numbers it would tell
what they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from argot._core import ring

from ...errors import ProgramError, UnsupportedError
from ...mpc.bits import Bits
from ...mpc.protocol import Arith, Bool, index_bits, row_starts
from ...runtime import gather
from ..engine import Engine
from ..ir import INTEGERS, TensorType
from ..values import Public, Share
from .base import Array, Op, Operand, attributes, is_bool, is_bounds, is_int, require
from .bits import with_sign_flipped
from .structure import take

MOST_KEYS, MOST = 64, 2**31
"""Keys of an order, and elements: indices are words of 32 bits."""

WORD = 60.0
"""Bits sent for each element and bit of a key, about: three bits of it are sorted by at a time."""


def last(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A shape, or the numbers of axes, with that axis moved to the end."""
    return (*shape[:axis], *shape[axis + 1 :], shape[axis])


class Order(Op):
    """The stable order of elements along `axis`, by the first key, then by the next; ascending unless `descending`.

    The order's shape has `axis` at the end.
    """

    name = "order"
    attrs = attributes(axis=is_int, descending=is_bool, bound=is_bounds)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        shape = types[0].shape
        require(len(types) <= MOST_KEYS and types[0].size < MOST, f"{len(types)} keys {types[0]}", "fewer")
        require(all(t.shape == shape for t in types), f"keys of shapes {[t.shape for t in types]}", "one shape")
        require(all(t.dtype != "order" for t in types), "an order as a key", "numbers or booleans")
        require(0 <= attrs["axis"] < len(shape), f"axis {attrs['axis']} of {types[0]}")
        bounds = attrs["bound"]
        require(bounds is None or len(bounds) == len(types), f"bounds {bounds} of {len(types)} keys", "one for each")
        return TensorType("order", last(shape, attrs["axis"]))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        keys = [np.moveaxis(x, attrs["axis"], -1) for x in arrays]
        if attrs["descending"]:  # places in the other direction, so that equal elements keep their order
            keys = [-np.unique(x, return_inverse=True)[1].reshape(x.shape) for x in keys]
        found = np.lexsort(keys[::-1], axis=-1) if keys[0].size else np.zeros(keys[0].shape, np.int64)
        return np.asarray(found + row_starts(found.shape))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        _can_sort(e)
        # The key has no name here, so that it is let go as it is used.
        found: Bool = await e.p.order(await self._key(e, operands, **attrs))
        return found

    async def _key(self, e: Engine, operands: Sequence[Operand], axis: int, descending: bool, bound: Any) -> Bool:
        """The words of all keys as one, the first key's bits highest."""
        bounds = bound or (None,) * len(operands)
        words = await gather(*(self._word(e, x, axis, b) for x, b in zip(operands, bounds, strict=True)))
        if len(words) == 1:
            (word,) = words
        else:
            parts = zip(*(word.parts for word in reversed(words)), strict=True)
            word = Bool(tuple(Bits.stack_planes(list(part)) for part in parts))
        return e.p.not_(word) if descending else word

    async def _word(self, e: Engine, x: Operand, axis: int, bound: int | None) -> Bool:
        """Bits that compare without a sign as the elements do with theirs."""
        axes = last(tuple(range(len(x.type.shape))), axis)
        if x.type.dtype == "bool":
            return e.bool(x, x.type.shape).map(lambda part: part.transpose(axes))
        number = e.arith(x, x.type.shape).map(lambda part: np.ascontiguousarray(np.transpose(part, axes)))
        width = e.ring_bound(bound, x.type) or e.p.k
        bits = await e.p.a2b(number, width)
        unsigned = x.type.dtype.startswith("u") and x.type.numpy.itemsize * 8 >= e.p.k == width
        return bits if unsigned else with_sign_flipped(e, bits)

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return WORD * len(types) * out.size


class RandomOrder(Op):
    """An order of n that nobody knows, every one equally likely. `draw` tells one such equation from the others."""

    name = "random_order"
    arity = 0
    draws = True
    attrs = attributes(n=is_int, draw=is_int)
    cost = 1.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(0 <= attrs["n"] < MOST, f"an order of {attrs['n']}", f"fewer than {MOST}")
        return TensorType("order", (attrs["n"],))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        raise ProgramError("a random order in the clear", wanted="a secret: whoever makes it would know it")

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        n = attrs["n"]
        index = e.p.public_bits(Bits.from_ring(np.arange(n, dtype=np.uint32), index_bits(n)))
        if n < 2:
            return index
        _can_sort(e)
        (mixed,) = await e.p.shuffle([index])
        return mixed


class _Follow(Op):
    """An order has the shape of the first axes of x, with `axis` at the end: what lies behind them moves as one row."""

    arity = 2
    attrs = attributes(axis=is_int)
    uses_orders = True

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        x, order = types
        rank, axis = len(order.shape), attrs["axis"]
        require(0 <= axis < rank <= len(x.shape), f"axis {axis} of {x} in the order {order}")
        wanted = last(x.shape[:rank], axis)
        ok = order.dtype == "order" and x.dtype != "order" and order.shape == wanted
        require(ok, f"{x} in the order {order}", f"an order of shape {wanted}")
        return x

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, order = arrays
        forth, back = _axes(x.ndim, order.ndim, attrs["axis"])
        moved = np.transpose(x, forth)
        rows = moved.reshape((order.size, *x.shape[order.ndim :]))
        return np.transpose(rows[self.index(order.reshape(-1))].reshape(moved.shape), back)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return isinstance(operands[1], Public)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, order = operands
        n, width = order.type.size, math.prod(x.type.shape[len(order.type.shape) :])
        forth, back = _axes(len(x.type.shape), len(order.type.shape), attrs["axis"])
        moved = _transposed(e.lift(x), forth)
        flat: Any = moved.reshape((n * width,))
        if isinstance(order, Public):
            index = self.index(order.array.reshape(-1))
            flat = take(flat, (index[:, None] * width + np.arange(width)).reshape(-1))
        elif n > 1 and width:
            _can_sort(e)
            shared: Any = e.lift(order)
            flat = await self.followed(e, flat.reshape((n, width)), shared.reshape((n,)))
        return _transposed(flat.reshape(tuple(x.type.shape[i] for i in forth)), back)

    def index(self, order: Array) -> Array:
        """Of each place, where its element comes from."""
        raise NotImplementedError

    async def followed(self, e: Engine, rows: Arith | Bool, order: Bool) -> Arith | Bool:
        raise NotImplementedError


class TakeOrder(_Follow):
    """y[j] = x[order[j]] along `axis`, of rows."""

    name = "take_order"
    cost = 10.0

    def index(self, order: Array) -> Array:
        return order

    async def followed(self, e: Engine, rows: Arith | Bool, order: Bool) -> Arith | Bool:
        (taken,) = await e.p.take([rows], order)
        return taken


class PutOrder(_Follow):
    """y[order[j]] = x[j] along `axis`, of rows: what `take_order` did is undone."""

    name = "put_order"
    cost = 6.0

    def index(self, order: Array) -> Array:
        return np.argsort(order)

    async def followed(self, e: Engine, rows: Arith | Bool, order: Bool) -> Arith | Bool:
        (placed,) = await e.p.place([rows], order)
        return placed


class IndexOf(Op):
    """The order as numbers: the index along `axis` of the element that comes to each place."""

    name = "index_of"
    arity = 1
    attrs = attributes(axis=is_int, dtype=lambda v: v in INTEGERS)
    uses_orders = True
    cost = 17.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        shape, axis = types[0].shape, attrs["axis"]
        require(types[0].dtype == "order", f"the indices of {types[0]}", "an order")
        require(0 <= axis < len(shape), f"axis {axis} of {types[0]}")
        return TensorType(attrs["dtype"], (*shape[:axis], shape[-1], *shape[axis:-1]))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        index = arrays[0] - row_starts(arrays[0].shape)
        return np.moveaxis(index, -1, attrs["axis"]).astype(TensorType(attrs["dtype"]).numpy)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        order: Any = e.lift(operands[0])
        number = await e.p.b2a(order)
        starts = np.array(np.broadcast_to(row_starts(order.shape), order.shape), np.uint64)
        number = e.p.add_public(number, ring.neg(ring.cast(starts, e.p.dtype)))
        return number.map(lambda part: np.ascontiguousarray(np.moveaxis(part, -1, attrs["axis"])))


def _axes(rank: int, ordered: int, axis: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of so many axes the first `ordered` with `axis` at their end, then the others; and the way back."""
    forth = (*last(tuple(range(ordered)), axis), *range(ordered, rank))
    return forth, tuple(int(i) for i in np.argsort(forth))


def _transposed(x: Any, axes: tuple[int, ...]) -> Any:
    if isinstance(x, Arith):
        return x.map(lambda part: np.ascontiguousarray(np.transpose(part, axes)))
    return x.map(lambda part: part.transpose(axes))


def _can_sort(e: Engine) -> None:
    if not e.p.has_order:
        raise UnsupportedError(
            f"sorting under {type(e.p).__name__.lower()}", wanted="a protocol with secret orders: aby3"
        )
