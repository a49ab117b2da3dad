"""Private permutations from Rust, by their definition: d = a[index] - b."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from argot._core import ot, prf, ring

Kinds = list[tuple[Any, int]]
ALL: Kinds = [(np.uint64, 1), ("bits17", 3), ("uint32", 5), ("bits", 1), (ring.Z128, 2), ("bits1", 1)]


@pytest.fixture(scope="module")
def pools() -> tuple[ot.Sender, ot.Receiver]:
    sender, receiver = (side(bytes(32), 0, "small") for side in (ot.Sender, ot.Receiver))
    receiver.finish(sender.finish(receiver.answer(sender.begin())))
    receiver.extend(sender.extend())
    return sender, receiver


class Places:
    """Where the next correlations are taken from."""

    used = 0

    @classmethod
    def next(cls, n: int) -> int:
        cls.used += n
        return cls.used - n


def chosen(pools: tuple[ot.Sender, ot.Receiver], index: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    sender, receiver = pools
    n = ot.switches(len(index))
    start = Places.next(n)
    sent, received = sender.take(start, n), receiver.take(start, n)
    planes = ot.route(index)
    assert planes.dtype == np.uint64 and planes.shape == (1, -(-n // 64))
    sent.follow(received.choose(planes, n))
    return sent, received


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 64, 1000])
def test_a_mover_has_the_rows_in_its_order_minus_those_of_the_giver(
    pools: tuple[ot.Sender, ot.Receiver], n: int
) -> None:
    index = prf.permutation(bytes(16), n)
    sent, received = chosen(pools, index)
    a, b, message = sent.permute(n, ALL)
    assert len(message) == ot.permute_bytes(n, ALL)
    d = received.permute(n, ALL, message)
    assert len(a) == len(b) == len(d) == len(ALL)
    for (kind, per_row), x, y, z in zip(ALL, a, b, d, strict=True):
        words = isinstance(kind, str) and kind.startswith("bits")
        dtype = np.dtype(np.uint64) if words else np.dtype(kind)
        for array in (x, y, z):
            assert array.dtype == dtype and array.shape == ((n,) if per_row == 1 else (n, per_row))
        want = x[index] ^ y if words else ring.sub(np.ascontiguousarray(x[index]), y)
        np.testing.assert_array_equal(z, want)


def test_masks_have_no_more_bits_than_their_column(pools: tuple[ot.Sender, ot.Receiver]) -> None:
    sent, _ = chosen(pools, np.arange(200))
    (a,), (b,), _ = sent.permute(200, [("bits17", 1)])
    assert max(a.max(), b.max()) < 2**17 and min(a.max(), b.max()) >= 2**16


def test_a_hidden_column_comes_out_permuted(pools: tuple[ot.Sender, ot.Receiver]) -> None:
    """As protocols use it: the giver sends x - a and keeps b, the mover has the rest."""
    n = 500
    index, x = prf.permutation(bytes(16), n), np.arange(n, dtype=np.uint64)
    sent, received = chosen(pools, index)
    (a,), (b,), message = sent.permute(n, [(np.uint64, 1)])
    (d,) = received.permute(n, [(np.uint64, 1)], message)
    np.testing.assert_array_equal((x - a)[index] + d + b, x[index])


def test_what_does_not_fit_is_refused(pools: tuple[ot.Sender, ot.Receiver]) -> None:
    with pytest.raises(ValueError, match="position 2 of an index of 3 rows"):
        ot.route(np.array([0, 1, 1]))
    with pytest.raises(ValueError, match="rows to permute: got 0"):
        ot.switches(0)
    with pytest.raises(TypeError, match="a column of float32"):
        ot.permute_bytes(3, [(np.float32, 1)])
    with pytest.raises(ValueError, match="got 65 bits; want 1 to 64"):
        ot.permute_bytes(3, [("bits65", 1)])
    with pytest.raises(ValueError, match='wanted "bits1" to "bits64"'):
        ot.permute_bytes(3, [("bits-1", 1)])
    with pytest.raises(ValueError, match="column 0 has no elements"):
        ot.permute_bytes(3, [(np.uint32, 0)])

    kinds: Kinds = [(np.uint32, 1)]
    sent, received = chosen(pools, np.arange(5))
    _, _, message = sent.permute(5, kinds)
    with pytest.raises(ot.BadMessage, match="message of a permutation: got 35 bytes or elements; want 36"):
        received.permute(5, kinds, message[:-1])
    with pytest.raises(ot.Reused):
        sent.permute(5, kinds)

    start = Places.next(8)
    with pytest.raises(ValueError, match="random bits"):
        pools[0].take(start, 8).permute(5, kinds)
