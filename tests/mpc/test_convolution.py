"""Convolutions as products of matrices, and as one convolution of one image."""

from __future__ import annotations

import numpy as np
import pytest

from argot._core import ring
from argot.mpc.convolution import Convolution
from argot.mpc.protocol import RINGS

SIZES = [
    Convolution(1, 1, 1, 1, 1, 1, 1, 1),
    Convolution(2, 3, 7, 6, 4, 3, 2, 1),
    Convolution(3, 2, 9, 10, 2, 3, 5, 2),
    Convolution(2, 1, 8, 8, 3, 1, 1, 2),
    Convolution(2, 2, 1, 30, 3, 1, 4, 3),
    Convolution(4, 3, 11, 12, 2, 2, 7, 4),
    Convolution(2, 2, 5, 5, 2, 5, 5, 7),
]


def by_definition(sizes: Convolution, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """z, element by element."""
    z = np.zeros(sizes.shape, x.dtype)
    for b, m, i, j in np.ndindex(*sizes.shape):
        top, left = i * sizes.stride, j * sizes.stride
        z[b, m, i, j] = (x[b, :, top : top + sizes.tall, left : left + sizes.wide] * w[m]).sum()
    return z


def numbers(sizes: Convolution) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sizes)
    shapes = (sizes.batch, sizes.channels, sizes.height, sizes.width), (sizes.kernels, sizes.channels, *sizes[5:7])
    x, w = (rng.integers(0, 2**64, shape, np.uint64) for shape in shapes)
    assert Convolution.of(x.shape, w.shape, sizes.stride) == sizes
    return x, w


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_both_ways(sizes: Convolution) -> None:
    x, w = numbers(sizes)
    want = by_definition(sizes, x, w)
    np.testing.assert_array_equal(sizes.result(sizes.patches(x) @ sizes.filters(w)), want)
    single = sizes.single
    image, kernels = sizes.image(x), sizes.finer(w)
    assert Convolution.of((1, *image.shape), kernels.shape, 1) == single
    np.testing.assert_array_equal(sizes.apart(by_definition(single, image[None], kernels)[0]), want)


@pytest.mark.parametrize("k", RINGS)
def test_patches_in_every_ring(k: int) -> None:
    sizes = SIZES[2]
    x, w = (ring.cast(part, RINGS[k]) for part in numbers(sizes))
    found = sizes.result(ring.matmul(sizes.patches(x), sizes.filters(w)))
    want = by_definition(sizes, *numbers(sizes))
    np.testing.assert_array_equal(ring.cast(found, np.uint32), want.astype(np.uint32))
