"""Words moved by secret distances, ones counted: exact, on ABY3 and in the clear."""

from __future__ import annotations

import numpy as np
import pytest
from mpc_worlds import run, words

from argot.mpc.aby3 import Aby3
from argot.mpc.bits import Bits
from argot.mpc.derived.words import adders, ones, shifted
from argot.mpc.plain import Plain

PROTOCOLS = [Aby3, Plain]


def numbers(rng, width, n):
    values = [0, 1, 2**width - 1, 2 ** (width - 1)]
    return values + [int.from_bytes(rng.bytes(8), "little") % 2**width for _ in range(n)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("width", "places"), [(1, 1), (2, 2), (5, 3), (8, 8), (13, 2), (64, 64)])
def test_shifts(protocol, width, places):
    rng = np.random.default_rng(width)
    values, top = numbers(rng, width, 70), 2**places
    by = [min(i, top - 1) for i in (0, 1, width - 1, width)]
    by += [int(rng.integers(min(2 * width, top))) for _ in values[4:-1]] + [min(top - 1, 2**31)]
    word, distance = (Bits.from_ring(words(v, 64), w) for v, w in ((values, width), (by, places)))
    sign = [v >> (width - 1) for v in values]

    def found(left, filled):
        def fn(p, a, b):
            return shifted(p, a, b, left, a.bits_at(width - 1, width) if filled else None)

        return run(fn, word, distance, protocol=protocol).to_ring(np.uint64).tolist()

    assert found(True, False) == [(v << min(n, width)) % 2**width for v, n in zip(values, by, strict=True)]
    assert found(False, False) == [v >> n for v, n in zip(values, by, strict=True)]
    signed = [(v - s * 2**width) >> n for v, s, n in zip(values, sign, by, strict=True)]
    assert found(False, True) == [v % 2**width for v in signed]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 31, 64])
def test_ones(protocol, width):
    values = numbers(np.random.default_rng(width), width, 70)
    count = run(ones, Bits.from_ring(words(values, 64), width), protocol=protocol)
    assert count.width == width.bit_length()
    assert count.to_ring(np.uint64).tolist() == [v.bit_count() for v in values]


@pytest.mark.parametrize("width", range(1, 129))
def test_adders_use_each_bit_once(width):
    layers, places = adders(width)
    there, used = set(range(width)), []
    for layer in layers:
        for taken, *_ in layer:
            assert set(taken) <= there
            used += taken
        there |= {bit for _, *made in layer for bit in made}
    assert len(set(used)) == len(used) and len(places) == width.bit_length()
    assert set(places).isdisjoint(used) and len(there) - len(used) - len(places) <= 1
    assert sum(map(len, layers)) <= width + width.bit_length() ** 2 and len(layers) <= 2 * width.bit_length()
