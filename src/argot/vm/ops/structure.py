"""Operations that move elements and compute nothing: free on shares, part by part."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from argot._core import ring

from ...mpc.bits import Bits
from ...mpc.protocol import RINGS, Arith, Bool
from ..engine import Engine
from ..ir import DTYPES, INTEGERS, NUMPY, TensorType
from ..values import Share
from .base import Array, Op, Operand, attributes, elementwise, is_array, is_int, is_ints, is_text, require


class Const(Op):
    """A constant of the program. `name` is set for those that the user declared public."""

    name = "const"
    arity = 0
    attrs = attributes(value=is_array, name=is_text)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        value = attrs["value"]
        dtype = next((name for name, found in NUMPY.items() if found == value.dtype), None)
        require(dtype is not None, f"a constant of dtype {value.dtype}")
        return TensorType(str(dtype), value.shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return attrs["value"]  # type: ignore[no-any-return]


class Iota(Op):
    """0, 1, 2... along one axis."""

    name = "iota"
    arity = 0
    attrs = attributes(dtype=lambda v: v in DTYPES, shape=is_ints, axis=is_int)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        shape, axis = attrs["shape"], attrs["axis"]
        require(0 <= axis < len(shape) and all(n >= 0 for n in shape), f"iota over axis {axis} of {shape}")
        require(attrs["dtype"] != "bool", "iota of bool", "a dtype of numbers")
        return TensorType(attrs["dtype"], shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        shape, axis = attrs["shape"], attrs["axis"]
        line = np.arange(shape[axis]).astype(NUMPY[attrs["dtype"]])
        return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape).copy()


class Structural(Op):
    """`array` says what happens to an array of any dtype, `bits` to bit-sliced booleans."""

    arity = 1

    def array(self, x: Array, **attrs: Any) -> Array:
        raise NotImplementedError

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        raise NotImplementedError

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(self.array(arrays[0], **attrs), order="C").reshape(self._shape(arrays[0], attrs))

    def _shape(self, x: Array, attrs: Any) -> tuple[int, ...]:
        return self.infer(TensorType("bool", x.shape), **attrs).shape

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        share = e.lift(operands[0])
        if isinstance(share, Bool):
            return share.map(lambda part: self.bits(part, **attrs))
        return share.map(lambda part: self.array(part, **attrs))


class Reshape(Structural):
    name = "reshape"
    form = "move"
    scaling = "linear"
    attrs = attributes(shape=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        shape = attrs["shape"]
        fits = all(n >= 0 for n in shape) and prod(shape) == types[0].size
        require(fits, f"{types[0]} as shape {shape}", f"{types[0].size} elements")
        return types[0].with_shape(shape)

    def array(self, x: Array, **attrs: Any) -> Array:
        return x.reshape(attrs["shape"])

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.reshape(attrs["shape"])


class Transpose(Structural):
    name = "transpose"
    form = "move"
    scaling = "linear"
    attrs = attributes(axes=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        axes = attrs["axes"]
        require(sorted(axes) == list(range(len(types[0].shape))), f"axes {axes} of {types[0]}", "a permutation")
        return types[0].with_shape([types[0].shape[a] for a in axes])

    def array(self, x: Array, **attrs: Any) -> Array:
        return x.transpose(attrs["axes"])

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.transpose(attrs["axes"])


class Broadcast(Structural):
    """x repeated to `shape`; `dims[i]` is where axis i of x goes."""

    name = "broadcast"
    form = "move"
    scaling = "linear"
    attrs = attributes(shape=is_ints, dims=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        shape, dims, x = attrs["shape"], attrs["dims"], types[0]
        ok = len(dims) == len(x.shape) and all(0 <= d < len(shape) for d in dims) and list(dims) == sorted(set(dims))
        ok = ok and all(n >= 0 for n in shape)
        ok = ok and all(n in (1, shape[d]) for n, d in zip(x.shape, dims, strict=True))
        require(ok, f"{x} broadcast to {shape} by {dims}", "axes in order, of length 1 or as they are")
        return x.with_shape(shape)

    def array(self, x: Array, **attrs: Any) -> Array:
        shape, dims = attrs["shape"], attrs["dims"]
        lengths = [1] * len(shape)
        for n, d in zip(x.shape, dims, strict=True):
            lengths[d] = n
        return np.asarray(np.broadcast_to(x.reshape(lengths), shape), order="C")

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.broadcast_in_dim(attrs["shape"], attrs["dims"])


class Slice(Structural):
    name = "slice"
    form = "move"
    scaling = "linear"
    attrs = attributes(starts=is_ints, limits=is_ints, strides=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        starts, limits, strides, x = attrs["starts"], attrs["limits"], attrs["strides"], types[0]
        ok = len(starts) == len(limits) == len(strides) == len(x.shape)
        ok = ok and all(0 <= a <= b <= n for a, b, n in zip(starts, limits, x.shape, strict=True))
        require(ok and all(s > 0 for s in strides), f"slice {starts}:{limits}:{strides} of {x}")
        return x.with_shape([-(-(b - a) // s) for a, b, s in zip(starts, limits, strides, strict=True)])

    def array(self, x: Array, **attrs: Any) -> Array:
        return x[tuple(map(slice, attrs["starts"], attrs["limits"], attrs["strides"]))]

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.slice(attrs["starts"], attrs["limits"], attrs["strides"])


class Reverse(Structural):
    name = "reverse"
    form = "move"
    scaling = "linear"
    attrs = attributes(axes=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        axes, rank = attrs["axes"], len(types[0].shape)
        require(all(0 <= a < rank for a in axes) and len(set(axes)) == len(axes), f"axes {axes} of {types[0]}")
        return types[0]

    def array(self, x: Array, **attrs: Any) -> Array:
        return np.flip(x, attrs["axes"])

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.reverse(attrs["axes"])


class Pad(Structural):
    """x with `interior` zeros between elements, `low` before and `high` after, along each axis."""

    name = "pad"
    scaling = "linear"
    attrs = attributes(low=is_ints, high=is_ints, interior=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        low, high, inner, x = attrs["low"], attrs["high"], attrs["interior"], types[0]
        ok = len(low) == len(high) == len(inner) == len(x.shape) and min((*low, *high, *inner), default=0) >= 0
        require(ok, f"{x} padded by {low}, {high}, {inner}", "three numbers, none negative, for each axis")
        return x.with_shape(
            [a + n + max(n - 1, 0) * i + b for n, a, b, i in zip(x.shape, low, high, inner, strict=True)]
        )

    def array(self, x: Array, **attrs: Any) -> Array:
        out, place = fresh(self._shape(x, attrs), x.dtype), []
        for axis, (n, a, i) in enumerate(zip(x.shape, attrs["low"], attrs["interior"], strict=True)):
            end = a + n + max(n - 1, 0) * i
            for margin in (slice(a), slice(end, None)):
                out[(slice(None),) * axis + (margin,)] = 0
            place.append(slice(a, end, i + 1))
        if any(attrs["interior"]):
            out[...] = 0
        out[tuple(place)] = x
        return out

    def bits(self, b: Bits, **attrs: Any) -> Bits:
        return b.pad(attrs["low"], attrs["high"], attrs["interior"])


def fresh(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array with unspecified contents; of ring words from the pool, which spares page faults."""
    return ring.empty(shape, dtype) if dtype in RINGS.values() else np.empty(shape, dtype)


class Concat(Op):
    """Values joined along an axis."""

    name = "concat"
    scaling = "alike"
    attrs = attributes(axis=is_int)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        axis, first = attrs["axis"], types[0]
        require(0 <= axis < len(first.shape), f"axis {axis} of {first}")

        def rest(t: TensorType) -> TensorType:
            return t.with_shape((*t.shape[:axis], *t.shape[axis + 1 :]))

        same = all(len(t.shape) == len(first.shape) and rest(t) == rest(first) for t in types)
        require(same, f"{', '.join(map(str, types))} joined along axis {axis}", "equal dtypes and other axes")
        length = sum(t.shape[axis] for t in types)
        return first.with_shape((*first.shape[:axis], length, *first.shape[axis + 1 :]))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.concatenate(arrays, attrs["axis"])

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        axis = attrs["axis"]
        if operands[0].type.dtype == "bool":
            bits = [e.bool(x).parts for x in operands]
            return Bool(tuple(Bits.concat(list(parts), axis) for parts in zip(*bits, strict=True)))
        words = [e.arith(x).parts for x in operands]
        shape = self.infer(*(x.type for x in operands), axis=axis).shape
        return Arith(
            tuple(np.concatenate(parts, axis, out=fresh(shape, e.p.dtype)) for parts in zip(*words, strict=True))
        )


class DynamicSlice(Op):
    """The window of `sizes` that begins at public indices, moved inside where it would stick out."""

    name = "dynamic_slice"
    form = "move"
    scaling = "linear"
    attrs = attributes(sizes=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        x, sizes = types[0], attrs["sizes"]
        _starts(x, types[1:])
        ok = len(sizes) == len(x.shape) and all(0 <= s <= n for s, n in zip(sizes, x.shape, strict=True))
        require(ok, f"windows of {sizes} in {x}")
        return x.with_shape(sizes)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return arrays[0][(*_window(arrays[0].shape, attrs["sizes"], arrays[1:]), ...)]

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        share = e.lift(operands[0])
        where = _window(share.shape, attrs["sizes"], public_arrays(operands[1:]))
        return _index(share, where)


class DynamicUpdate(Op):
    """x with a window, which begins at public indices, replaced by `update`."""

    name = "dynamic_update"

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        x, update = types[:2]
        _starts(x, types[2:])
        ok = len(update.shape) == len(x.shape) and update.dtype == x.dtype
        ok = ok and all(s <= n for s, n in zip(update.shape, x.shape, strict=True))
        require(ok, f"a window {update} of {x}")
        return x

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        out = arrays[0].copy()
        out[_window(out.shape, arrays[1].shape, arrays[2:])] = arrays[1]
        return out

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, update = e.lift(operands[0]), e.lift(operands[1])
        where = _window(x.shape, update.shape, public_arrays(operands[2:]))
        places = np.arange(x.size, dtype=np.int64).reshape(x.shape)[where]
        return put(x, places, update)


def _starts(x: TensorType, starts: tuple[TensorType, ...]) -> None:
    ok = len(starts) == len(x.shape) and all(t.shape == () and t.dtype in INTEGERS for t in starts)
    require(ok, f"{len(starts)} indices into {x}", "one integer for each axis")


def _window(shape: tuple[int, ...], sizes: tuple[int, ...], starts: Any) -> tuple[Any, ...]:
    places = [max(0, min(int(a), n - s)) for a, n, s in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(a, a + s) for a, s in zip(places, sizes, strict=True))


def _index(share: Share, where: tuple[Any, ...]) -> Share:
    if isinstance(share, Bool):
        starts, limits = tuple(s.start for s in where), tuple(s.stop for s in where)
        return share.map(lambda part: part.slice(starts, limits, (1,) * len(where)))
    return share.map(lambda part: part[(*where, ...)])


def public_arrays(operands: tuple[Operand, ...]) -> tuple[Array, ...]:
    """The arrays of operands that are public by the type rules."""
    return tuple(x.array for x in operands)  # type: ignore[union-attr]


class Take(Op):
    """Elements of x (flattened) at public positions; -1 gives 0."""

    name = "take"
    scaling = "linear"
    arity = 2
    public_operands = (1,)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(types[1].dtype == "i64", f"positions {types[1]}", "i64")
        return types[0].with_shape(types[1].shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return take_array(*arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return take(e.lift(operands[0]), public_arrays(operands[1:])[0])


class Put(Op):
    """x with the elements at public positions (of x flattened) replaced by `updates`; -1 drops one."""

    name = "put"
    arity = 3
    public_operands = (1,)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        updates_fit(*types)
        return types[0]

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, index, updates = arrays
        out, inside = x.reshape(-1).copy(), (index >= 0) & (index < x.size)
        out[index[inside]] = updates[inside]
        return out.reshape(x.shape)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return put(e.lift(operands[0]), public_arrays(operands[1:2])[0], e.lift(operands[2]))


class PutAdd(Op):
    """x with `updates` added at public positions (of x flattened), repeated ones too; -1 drops one."""

    name = "put_add"
    arity = 3
    public_operands = (1,)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        updates_fit(*types)
        elementwise([types[0]], (*INTEGERS, "fixed"))
        return types[0]

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, index, updates = arrays
        out, inside = x.reshape(-1).copy(), (index >= 0) & (index < x.size)
        np.add.at(out, index[inside], updates[inside])  # one after the other, in order
        return out.reshape(x.shape)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        """Sorted by position, the sum of equal ones is a difference of running sums."""
        x, index = e.arith(operands[0]), public_arrays(operands[1:2])[0].reshape(-1)
        order = np.argsort(index, kind="stable")
        order = order[(index[order] >= 0) & (index[order] < x.size)]
        places = index[order]
        if not order.size:
            return x
        updates = e.arith(operands[2]).reshape((-1,)).map(lambda part: np.asarray(part[order], order="C"))
        last = np.flatnonzero(np.append(places[1:] != places[:-1], True))
        sums = e.p.cumsum(updates, 0) if len(last) < len(places) else None
        if sums is None:
            added = updates
        else:
            before = np.append(-1, last[:-1])
            added = e.p.sub(_take_words(sums, last), _take_words(sums, before))
        back = np.full(x.size, -1, np.int64)
        back[places[last]] = np.arange(len(last))
        return e.p.add(x, _take_words(added, back.reshape(x.shape)))


def updates_fit(x: TensorType, index: TensorType, updates: TensorType) -> None:
    """Raises ProgramError unless there is one update of x's dtype for each position."""
    shown = f"{updates} at positions {index} of {x}"
    require(index.dtype == "i64" and updates.dtype == x.dtype and index.shape == updates.shape, shown)


def take_array(x: Array, index: Array) -> Array:
    """x.flat[index], 0 where the index is negative or too large."""
    flat, inside = x.reshape(-1), (index >= 0) & (index < x.size)
    if not flat.size:
        return np.zeros(index.shape, x.dtype)
    out = np.asarray(flat[np.where(inside, index, 0)])  # an index without axes makes a NumPy scalar
    return out if inside.all() else np.where(inside, out, np.zeros((), x.dtype))


def _take_words(x: Arith, index: Array) -> Arith:
    return x.map(lambda part: take_array(part, index))


def take(x: Share, index: Array) -> Share:
    """Elements of a flattened share; 0 where the index is negative or too large."""
    if isinstance(x, Bool):
        safe = np.where((index >= 0) & (index < x.size), index, -1).astype(np.int64)
        return x.map(lambda part: part.take(safe))
    return _take_words(x, index)


def put(x: Share, index: Array, updates: Share) -> Share:
    """A share with some elements replaced; of several for one place the last counts."""
    flat = index.reshape(-1)
    inside = np.flatnonzero((flat >= 0) & (flat < x.size))
    source = np.full(x.size, -1, np.int64)
    source[flat[inside]] = inside
    source = source.reshape(x.shape)
    chosen, keep = take(updates, source), source < 0
    if isinstance(x, Bool) and isinstance(chosen, Bool):
        kept = x.map(lambda part: part & Bits.from_bool(keep))
        return Bool(tuple(a ^ b for a, b in zip(kept.parts, chosen.parts, strict=True)))
    assert isinstance(x, Arith) and isinstance(chosen, Arith)
    return Arith(tuple(np.where(keep, a, b) for a, b in zip(x.parts, chosen.parts, strict=True)))
