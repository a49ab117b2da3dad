"""Convolutions as products of matrices, as one of one image, and between two parties."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest

from argot._core import ring
from argot.mpc import transfer_costs as costs
from argot.mpc.cheetah import Cheetah
from argot.mpc.convolution import Convolution
from argot.mpc.protocol import RINGS, Arith
from argot.runtime.conformance import Case, variables_of
from argot.runtime.meter import declared
from argot.runtime.world import World

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


# ---- between two parties


LARGE = [
    (32, Convolution(1, 4, 34, 34, 4, 3, 3, 1)),
    (64, Convolution(1, 4, 34, 34, 4, 3, 3, 1)),
    (64, Convolution(9, 3, 15, 14, 5, 5, 4, 1)),
    (64, Convolution(2, 3, 41, 41, 6, 7, 7, 2)),
    (64, Convolution(40, 1, 1, 64, 4, 1, 9, 3)),
]


@pytest.mark.parametrize(("k", "sizes"), LARGE, ids=str)
def test_two_parties_encrypt_images(k: int, sizes: Convolution) -> None:
    assert costs.encrypts_images(k, *sizes)
    x, w = (ring.cast(part, RINGS[k]) for part in numbers(sizes))
    world = World(lambda party: Cheetah(party, ring=k), n=2)

    async def shares(p: Cheetah) -> list[Arith]:
        rank = p.party.rank
        return [await p.share(part if rank == owner else None, owner, part.shape) for owner, part in enumerate((x, w))]

    async def convolve(p: Cheetah, parts: list[Arith]) -> Arith:
        return await p.convolve(*parts, sizes.stride)

    async def reveal(p: Cheetah, z: Arith) -> Any:
        return await p.reveal_to(z, range(2))

    found = world.run(convolve, world.run(shares))
    n = prod(sizes.shape)
    declared_ = declared(Cheetah.convolve)
    assert declared_ is not None
    known = variables_of(world.protocols[0], Case((), n, variables=sizes._asdict()))
    assert declared_.evaluate(Cheetah, known) == (world.rounds, Fraction(world.bits, n))
    for z in world.run(reveal, found):
        np.testing.assert_array_equal(z, by_definition(sizes, x, w))


def image_bits(sizes: Convolution) -> int:
    return int(costs.convolution_bits(64, 1, 2, *sizes))


@pytest.mark.parametrize(
    ("sizes", "by_patches"),
    [
        (Convolution(1, 64, 58, 58, 64, 3, 3, 1), 2.2),
        (Convolution(1, 512, 9, 9, 512, 3, 3, 1), 2.2),
        (Convolution(1, 3, 226, 226, 64, 7, 7, 2), 1.6),
        (Convolution(8, 8, 32, 32, 8, 3, 3, 1), 2),
    ],
)
def test_images_take_fewer_bytes_than_patches(sizes: Convolution, by_patches: float) -> None:
    """With answers of one form."""
    patches = costs._ciphertexts(costs._matrices(64, False).sizes(*sizes.matrices))
    assert by_patches * image_bits(sizes) < 2 * patches and costs.encrypts_images(64, *sizes)


def test_a_stride_becomes_channels() -> None:
    sizes = Convolution(1, 3, 226, 226, 64, 7, 7, 2)
    with_stride = costs._ciphertexts(costs._convolutions(64).sizes(sizes[1:]))
    assert 2 * image_bits(sizes) < 2 * with_stride


def test_small_inputs_share_ciphertexts() -> None:
    sizes = Convolution(32, 8, 12, 12, 16, 5, 5, 1)
    assert 4 * image_bits(sizes) < 32 * image_bits(sizes._replace(batch=1))


@pytest.mark.parametrize(
    "sizes",
    [
        Convolution(1, 1, 8, 8, 2, 3, 3, 1),  # few products
        Convolution(1, 64, 56, 56, 256, 1, 1, 1),  # patches are no longer than images
        Convolution(32, 16, 58, 58, 16, 56, 56, 1),  # as in a gradient: more of the image than of results
        Convolution(1, 1, 200, 200, 1, 100, 100, 1),  # kernels of more numbers than a ciphertext has
    ],
)
def test_patches_where_images_take_more(sizes: Convolution) -> None:
    assert not costs.encrypts_images(64, *sizes) and not costs.encrypts_images(128, *sizes)
