"""Convolutions of several inputs by several kernels, written as other products. Nothing here is sent.

x (batch, channels, height, width) and w (kernels, channels, tall, wide) make z (batch, kernels, rows, columns):

    z[b, m, i, j] = sum over c, y, v of x[b, c, i stride + y, j stride + v] w[m, c, y, v]

* As a product of matrices: `patches` of x, a row for each place of the result, times the `filters`, a column each.
* As one convolution with stride 1 of one `image`, all inputs of the batch below each other, by `finer` kernels. A
  stride s makes of each channel s^2, one for each place modulo s. Results that span two inputs are left out (`apart`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Convolution(NamedTuple):
    """The sizes of one."""

    batch: int
    channels: int
    height: int
    width: int
    kernels: int
    tall: int
    wide: int
    stride: int

    @classmethod
    def of(cls, x: Sequence[int], w: Sequence[int], stride: int) -> Self:
        """That of an x and a w of these shapes."""
        batch, channels, height, width = x
        kernels, _, tall, wide = w
        return cls(batch, channels, height, width, kernels, tall, wide, stride)

    @property
    def rows(self) -> int:
        return (self.height - self.tall) // self.stride + 1

    @property
    def columns(self) -> int:
        return (self.width - self.wide) // self.stride + 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of z."""
        return self.batch, self.kernels, self.rows, self.columns

    # ---- as a product of matrices ---------------------------------------------------------------------------------

    @property
    def matrices(self) -> tuple[int, int, int]:
        """(rows, inner, columns) of the product."""
        return self.batch * self.rows * self.columns, self.channels * self.tall * self.wide, self.kernels

    def patches(self, x: Array) -> Array:
        """The left matrix."""
        s, window = self.stride, (self.tall, self.wide)
        windows = np.lib.stride_tricks.sliding_window_view(x, window, axis=(2, 3))[:, :, ::s, ::s]
        return windows.transpose(0, 2, 3, 1, 4, 5).reshape(self.matrices[:2])

    def filters(self, w: Array) -> Array:
        """The right matrix."""
        return w.reshape(self.kernels, -1).T

    def result(self, z: Array) -> Array:
        """z from the product."""
        return np.ascontiguousarray(z.reshape(self.batch, self.rows, self.columns, self.kernels).transpose(0, 3, 1, 2))

    # ---- as one convolution with stride 1 -------------------------------------------------------------------------

    @property
    def folds(self) -> tuple[int, int]:
        """How many places modulo the stride kernels reach, down and across."""
        return min(self.tall, self.stride), min(self.wide, self.stride)

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the finer kernels."""
        return -(-self.tall // self.stride), -(-self.wide // self.stride)

    @property
    def single(self) -> Convolution:
        """Its sizes."""
        (down, across), (tall, wide) = self.folds, self.window
        height, width = self.batch * (self.rows + tall - 1), self.columns + wide - 1
        return Convolution(1, self.channels * down * across, height, width, self.kernels, tall, wide, 1)

    def image(self, x: Array) -> Array:
        """The only input, (channels, height, width)."""
        single, s = self.single, self.stride
        tall = single.height // self.batch
        found = np.zeros((self.channels, *self.folds, self.batch, tall, single.width), x.dtype)
        for i, j in product(*map(range, self.folds)):
            part = x[:, :, i::s, j::s][:, :, :tall, : single.width].swapaxes(0, 1)
            found[:, i, j, :, : part.shape[2], : part.shape[3]] = part
        return found.reshape(single.channels, single.height, single.width)

    def finer(self, w: Array) -> Array:
        """Its kernels."""
        single, s = self.single, self.stride
        found = np.zeros((self.kernels, self.channels, *self.folds, *self.window), w.dtype)
        for i, j in product(*map(range, self.folds)):
            part = w[:, :, i::s, j::s]
            found[:, :, i, j, : part.shape[2], : part.shape[3]] = part
        return found.reshape(self.kernels, single.channels, *self.window)

    def apart(self, z: Array) -> Array:
        """z from its result, (kernels, rows, columns)."""
        every = np.arange(self.batch)[:, None] * (self.single.height // self.batch) + np.arange(self.rows)
        return np.ascontiguousarray(z[:, every].swapaxes(0, 1))
