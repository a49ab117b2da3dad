"""`Bits`: arrays of small words, bit-sliced, the carrier of boolean shares.

Plane b holds bit b of every element, 64 elements to a word, in C order of the logical shape. So `^`, `&` and the
kernels that protocols use work on 64 elements at a time, and a word of w bits takes w bits. Reshaping is free; other
structural operations move bits. Bits beyond the last element are zero in every plane, always: what one party opens
tells the others nothing but the elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._core import ring
from ..errors import FrameError

Shape = tuple[int, ...]
Planes = NDArray[np.uint64]
Axis = tuple[int, int, int]
"""Length, step in the source, step in the result, in elements."""


def _words(n: int) -> int:
    return -(-n // 64)


def _strides(shape: Sequence[int]) -> list[int]:
    """How many elements a step along each axis goes, in C order."""
    steps = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        steps[axis] = steps[axis + 1] * shape[axis + 1]
    return steps


def _axis(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} of an array of {ndim} dimensions")
    return axis % ndim


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """Elements of `width` bits each, in an array of any shape.

    Attributes:
        planes: uint64 of shape (width, ceil(size / 64)); bit e of word w of plane b is bit b of element 64 w + e.
        shape: the logical shape.

    Every structural method gives a new object and raises ValueError where NumPy's counterpart would.
    """

    planes: Planes
    shape: Shape

    def __post_init__(self) -> None:
        if self.planes.ndim != 2 or self.planes.shape[1] != _words(prod(self.shape)):
            raise ValueError(
                f"planes of shape {self.planes.shape} do not hold elements of shape {self.shape}; "
                f"wanted (width, {_words(prod(self.shape))})"
            )

    @property
    def width(self) -> int:
        return self.planes.shape[0]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"Bits(shape={self.shape}, width={self.width})"

    # Making and reading

    @classmethod
    def zeros(cls, shape: Sequence[int], width: int = 1) -> Bits:
        shape = tuple(shape)
        return cls(np.zeros((width, _words(prod(shape))), np.uint64), shape)

    @classmethod
    def drawn(cls, key: bytes, shape: Sequence[int], width: int) -> Bits:
        """Uniform words from a key of 16 bytes."""
        shape = tuple(shape)
        return cls(ring.bits_stream(key, width, prod(shape)), shape)

    @classmethod
    def from_ring(cls, x: NDArray[Any], width: int) -> Bits:
        """The low `width` bits of the elements of `x`, of a ring or another unsigned dtype."""
        return cls(ring.bits_from_ring(x, width), x.shape)

    def to_ring(self, dtype: DTypeLike) -> NDArray[Any]:
        """The elements as words of `dtype`, which has at least `width` bits; the bits above are zero."""
        out: NDArray[Any] = ring.bits_to_ring(self.planes, self.shape, dtype)
        return out

    @classmethod
    def from_bool(cls, x: ArrayLike) -> Bits:
        """Width 1, from an array of booleans."""
        found = np.asarray(x)
        if found.dtype != np.bool_:
            raise ValueError(f"an array of {found.dtype}; wanted booleans")
        return cls(ring.bits_from_ring(found, 1), found.shape)

    def to_bool(self) -> NDArray[np.bool_]:
        """Width 1 only."""
        out: NDArray[np.bool_] = ring.bits_to_ring(self.planes, self.shape, np.bool_)
        return out

    @property
    def nbytes(self) -> int:
        """Bytes of `tobytes`: whole words from 64 elements on, else whole bytes for every plane."""
        size = self.size
        return self.width * (8 * _words(size) if size >= 64 else -(-size // 8))

    def tobytes(self) -> bytes | memoryview:
        """The planes one after the other, little endian; a view of them where that is possible."""
        size = self.size
        if size < 64:
            return np.ascontiguousarray(self.planes).view(np.uint8)[:, : -(-size // 8)].tobytes()
        if self.planes.nbytes <= 4096:
            return self.planes.tobytes()
        return np.ascontiguousarray(self.planes).data.cast("B")

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, shape: Sequence[int], width: int) -> Bits:
        """What `tobytes` gave for this shape and width. FrameError if it did not: length or pad bits are wrong."""
        shape = tuple(shape)
        size = prod(shape)
        count = _words(size)
        each = 8 * count if size >= 64 else -(-size // 8)
        if len(data) != width * each:
            raise FrameError(f"{len(data)} bytes for {width} planes of {size} bits", wanted=f"{width * each} bytes")
        if size >= 64:
            planes = np.frombuffer(data, np.uint64).reshape(width, count)
        else:
            planes = ring.bits_from_bytes(data, width, size)
        if not ring.bits_pad_is_zero(planes, size):
            raise FrameError(f"bits beyond the last of {size} elements are set", wanted="zeros")
        return cls(planes, shape)

    # Local logic

    def _like(self, other: Bits) -> None:
        if self.shape != other.shape or self.width != other.width:
            raise ValueError(f"{self!r} and {other!r} do not match")

    def __xor__(self, other: Bits) -> Bits:
        self._like(other)
        return Bits(ring.bits_xor(self.planes, other.planes), self.shape)

    def __and__(self, other: Bits) -> Bits:
        self._like(other)
        return Bits(ring.bits_and(self.planes, other.planes), self.shape)

    def __invert__(self) -> Bits:
        return Bits(ring.bits_not(self.planes, self.size), self.shape)

    # Along the width

    def planes_at(self, start: int, stop: int) -> Bits:
        """Bits start..stop-1 of every element, as elements of that width; a view."""
        if not 0 <= start <= stop <= self.width:
            raise ValueError(f"bits {start}..{stop} of a width of {self.width}")
        return Bits(self.planes[start:stop], self.shape)

    @staticmethod
    def stack_planes(parts: Sequence[Bits]) -> Bits:
        """Elements whose bits are those of `parts` one after the other, the first lowest; equal shapes."""
        for part in parts[1:]:
            if part.shape != parts[0].shape:
                raise ValueError(f"shapes {parts[0].shape} and {part.shape} do not match")
        return Bits(np.concatenate([part.planes for part in parts]), parts[0].shape)

    def shift_left(self, n: int) -> Bits:
        """Every element times 2^n, mod 2^width."""
        return self._shifted(n, slice(n, None), slice(0, self.width - n))

    def shift_right(self, n: int) -> Bits:
        """Every element divided by 2^n, rounded down."""
        return self._shifted(n, slice(0, self.width - n), slice(n, None))

    def _shifted(self, n: int, to: slice, source: slice) -> Bits:
        if n < 0:
            raise ValueError(f"shift by {n}")
        planes = np.zeros_like(self.planes)
        if n < self.width:
            planes[to] = self.planes[source]
        return Bits(planes, self.shape)

    # Structure

    def reshape(self, shape: Sequence[int]) -> Bits:
        """Free. One length may be -1."""
        shape = tuple(shape)
        if -1 in shape:
            known = prod(n for n in shape if n != -1)
            if shape.count(-1) > 1 or known == 0 or self.size % known:
                raise ValueError(f"cannot reshape {self.shape} into {shape}")
            shape = tuple(self.size // known if n == -1 else n for n in shape)
        if prod(shape) != self.size:
            raise ValueError(f"cannot reshape {self.shape} into {shape}")
        return Bits(self.planes, shape)

    def _move_to(self, planes: Planes, n: int, start: int, to: int, axes: list[Axis]) -> None:
        """Move elements to fresh planes of n elements: the views start at these elements."""
        ring.bits_move(self.planes, self.size, start, planes, n, to, _merged(axes))

    def _moved(self, shape: Shape, start: int, steps: Sequence[int]) -> Bits:
        """The view of this array that has these steps, as an array of its own."""
        n = prod(shape)
        planes = np.zeros((self.width, _words(n)), np.uint64)
        self._move_to(planes, n, start, 0, list(zip(shape, steps, _strides(shape), strict=True)))
        return Bits(planes, shape)

    def transpose(self, axes: Sequence[int] | None = None) -> Bits:
        """As `numpy.transpose`."""
        order = [_axis(a, self.ndim) for a in axes] if axes is not None else list(range(self.ndim))[::-1]
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"axes {axes} do not permute {self.ndim} dimensions")
        if order == sorted(order):
            return self
        steps = _strides(self.shape)
        return self._moved(tuple(self.shape[a] for a in order), 0, [steps[a] for a in order])

    def slice(self, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int] | None = None) -> Bits:
        """`x[start:limit:stride, ...]`, with 0 <= start <= limit <= length and stride > 0 on every axis."""
        strides = [1] * self.ndim if strides is None else strides
        if not len(starts) == len(limits) == len(strides) == self.ndim:
            raise ValueError(f"a slice of {len(starts)} axes of {self.ndim} dimensions")
        for start, limit, stride, length in zip(starts, limits, strides, self.shape, strict=True):
            if not 0 <= start <= limit <= length or stride < 1:
                raise ValueError(f"slice {start}:{limit}:{stride} of a length of {length}")
        shape = tuple(-(-(b - a) // s) for a, b, s in zip(starts, limits, strides, strict=True))
        if shape == self.shape:
            return self
        if prod(shape) == 0:
            return Bits.zeros(shape, self.width)
        steps = _strides(self.shape)
        first = sum(a * step for a, step in zip(starts, steps, strict=True))
        return self._moved(shape, first, [s * step for s, step in zip(strides, steps, strict=True)])

    def reverse(self, axes: Sequence[int]) -> Bits:
        """The order of elements reversed along `axes`, as `numpy.flip`."""
        flipped = {_axis(a, self.ndim) for a in axes}
        if self.size == 0:
            return self
        steps = _strides(self.shape)
        first = sum((self.shape[a] - 1) * steps[a] for a in flipped)
        return self._moved(self.shape, first, [-s if a in flipped else s for a, s in enumerate(steps)])

    def broadcast_in_dim(self, shape: Sequence[int], dims: Sequence[int]) -> Bits:
        """Axis i of this array becomes axis dims[i] of the result; axes of length 1, and new ones, are repeated."""
        shape = tuple(shape)
        if len(dims) != self.ndim or any(not 0 <= d < len(shape) for d in dims) or len(set(dims)) != len(dims):
            raise ValueError(f"axes {tuple(dims)} do not place {self.shape} in {shape}")
        steps = [0] * len(shape)
        for d, length, step in zip(dims, self.shape, _strides(self.shape), strict=True):
            if length not in (1, shape[d]):
                raise ValueError(f"shapes {self.shape} and {shape} do not match along axis {d}")
            steps[d] = 0 if length == 1 else step
        if prod(shape) == 0:
            return Bits.zeros(shape, self.width)
        return self._moved(shape, 0, steps)

    def broadcast_to(self, shape: Sequence[int]) -> Bits:
        """As `numpy.broadcast_to`."""
        lead = len(shape) - self.ndim
        return self.broadcast_in_dim(shape, range(lead, len(shape)))

    @staticmethod
    def concat(parts: Sequence[Bits], axis: int) -> Bits:
        """Arrays of equal width joined along an existing axis, as `numpy.concatenate`."""
        first = parts[0]
        axis = _axis(axis, first.ndim)
        rest = first.shape[:axis] + first.shape[axis + 1 :]
        for part in parts[1:]:
            if part.shape[:axis] + part.shape[axis + 1 :] != rest or part.width != first.width:
                raise ValueError(f"{first!r} and {part!r} do not match beside axis {axis}")
        total = sum(part.shape[axis] for part in parts)
        shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
        n = prod(shape)
        planes = np.zeros((first.width, _words(n)), np.uint64)
        steps, at = _strides(shape), 0
        for part in parts:
            axes = list(zip(part.shape, _strides(part.shape), steps, strict=True))
            part._move_to(planes, n, 0, at * steps[axis], axes)
            at += part.shape[axis]
        return Bits(planes, shape)

    def pad(self, lo: Sequence[int], hi: Sequence[int], interior: Sequence[int] | None = None) -> Bits:
        """Zeros before, after and between the elements of every axis, as `jax.lax.pad`; lo and hi may be negative."""
        interior = [0] * self.ndim if interior is None else interior
        if not len(lo) == len(hi) == len(interior) == self.ndim:
            raise ValueError(f"padding of {len(lo)} axes for {self.ndim} dimensions")
        shape, axes, start, to = [], [], 0, 0
        steps = _strides(self.shape)
        for length, low, high, gap in zip(self.shape, lo, hi, interior, strict=True):
            full = low + high + max(length + (length - 1) * gap, 0)
            if full < 0 or gap < 0:
                raise ValueError(f"padding {low}, {high}, {gap} of a length of {length}")
            shape.append(full)
        for axis, step in enumerate(_strides(shape)):
            low, gap = lo[axis], interior[axis] + 1
            first = max(0, -(low // gap))
            last = min(self.shape[axis] - 1, (shape[axis] - 1 - low) // gap)
            if last < first:
                return Bits.zeros(shape, self.width)
            start += first * steps[axis]
            to += (low + first * gap) * step
            axes.append((last - first + 1, steps[axis], gap * step))
        n = prod(shape)
        planes = np.zeros((self.width, _words(n)), np.uint64)
        self._move_to(planes, n, start, to, axes)
        return Bits(planes, tuple(shape))

    def take(self, index: NDArray[np.int64]) -> Bits:
        """Elements by their place in C order; -1 gives zero. The result has the shape of `index`."""
        return Bits(ring.bits_take(self.planes, self.size, index), index.shape)


def _merged(axes: list[Axis]) -> list[Axis]:
    """The same move over as few and as long axes as possible."""
    out: list[Axis] = []
    for length, source, to in axes:
        if length == 1:
            continue
        if out and out[-1][1] == length * source and out[-1][2] == length * to:
            out[-1] = (out[-1][0] * length, source, to)
        else:
            out.append((length, source, to))
    return out
