"""Signs of two parties with a dealer: by keys, or by the circuit on bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpc_worlds import ints, words

from argot import mpc
from argot._core import mpc as kernels
from argot.errors import FrameError
from argot.mpc import adder
from argot.mpc.dealer import key_bits
from argot.mpc.few import FEW, few
from argot.mpc.semi2k import Semi2k
from argot.mpc.semi2k_dealer import few_signs
from argot.runtime.link import Link
from argot.runtime.world import World

TWO = mpc.Form(Semi2k, 2, dealer=True)
KEYS = [bytes([i]) * 16 for i in range(3)]


def two(k: int = 64, link: Link | None = None, **options: Any) -> World:
    return World(lambda party: TWO(party, ring=k, link=link), n=3, **options)


def signs_of(x: np.ndarray, r: np.ndarray, bound: int) -> np.ndarray:
    """Both parties' parts of the top bits of x mod 2^bound, added, from the kernels."""
    c, (cipher, *roots) = x + r, KEYS
    dealt = kernels.compare_deal(r, bound, cipher, *roots)
    parts = [kernels.compare_sign(c, bound, cipher, root, i == 1, dealt) for i, root in enumerate(roots)]
    planes = (parts[0] ^ parts[1]).view(np.uint8)
    return np.unpackbits(planes, bitorder="little")[: x.size]


@pytest.mark.parametrize("bound", range(1, 7))
def test_every_number_under_every_mask(bound):
    x, r = (v.reshape(-1) for v in np.meshgrid(*[np.arange(2**bound, dtype=np.uint32)] * 2))
    assert (signs_of(x, r, bound) == x >> np.uint32(bound - 1)).all()


@pytest.mark.parametrize("k", [32, 64, 128])
@pytest.mark.parametrize("bound", [2, 7, 8, 9, 16, 31, 32, 63, 64, 100, 128])
@pytest.mark.parametrize("shape", [(), (1,), (3, 43), (0, 2)])
def test_signs_by_keys_are_those_of_the_numbers(k, bound, shape):
    bound = min(bound, k)
    rng = np.random.default_rng([k, bound])
    top = 2 ** (bound - 1)
    edges = [0, -1, 1, top - 1, -top, 2 - top]
    size = int(np.prod(shape))
    values = (edges + [int.from_bytes(rng.bytes(16), "little") % (2 * top) - top for _ in range(size)])[:size]
    x = words(np.array(values, object), k, shape)

    async def program(p: Any) -> Any:
        share = await p.share(x if p.party.rank == 0 else None, 0, shape)
        return await p.reveal_bits_to(await p._sign_by_keys(share, bound), [0, 1])

    first, second, _ = two(k, seed=bound).run(program)
    assert first.shape == second.shape == shape
    assert (first.planes == second.planes).all()
    assert first.to_bool().reshape(-1).tolist() == [v < 0 for v in values]


@pytest.mark.parametrize("bound", [None, 40, 3, 2, 1])
def test_few_signs_take_a_round_and_many_the_rounds_of_the_circuit(bound):
    width = bound or 64
    limit = few_signs(FEW, 18, width)
    assert limit > 900 or width < 3
    for n in {max(limit, 1), max(limit, 0) + 1}:
        world = two(seed=1)
        x = (np.arange(n) % min(4, 2**width) - min(2, width)).astype(np.uint64)

        async def program(p: Any, x: Any = x) -> Any:
            share = await p.share(x if p.party.rank == 0 else None, 0, x.shape)
            return await p.reveal_bits_to(await p.msb(share, bound), [0])

        signs = world.run(program)[0]
        assert signs.to_bool().tolist() == [v < 0 for v in ints(x)]
        assert world.rounds == (1 if n <= limit else adder.top_rounds(width, 2)) + 1


@pytest.mark.parametrize(
    ("link", "bound", "limit"),
    [
        (None, 64, 916),
        (Link(10e9, 0.05e-3), 64, 229),  # 62.5 kB in one latency; six of them, 1,824 bytes a sign
        (Link(100e6, 20e-3), 64, 916),
        (Link(1e9, 20e-3), 64, 7329),
        (Link(1e9, 20e-3), 32, 13926),
        (Link(1.0, 0.0), 64, 7),
    ],
)
def test_how_many_are_few(link, bound, limit):
    assert few_signs(few(link, 18), 18, bound) == limit


def test_few_are_those_whose_keys_take_no_longer_than_the_rounds_they_save():
    """What the dealer sends, measured, at a rate and a latency."""
    link = Link(1e8, 1e-3)
    limit = few_signs(few(link, 18), 18, 64)
    world = two(link=link)

    async def program(p: Any) -> None:
        await p.msb(p.public(p.constant(5, (limit,))))

    world.run(program)
    assert world.rounds == 1
    sent = sum(bits for (sender, *_), (_, bits) in world.traffic.items() if sender == 2)
    assert sent == 2 * key_bits(64) * limit
    seconds, saved = sent / link.bandwidth, (adder.top_rounds(64, 2) - 1) * link.latency
    assert saved / 2 < seconds < saved * 2  # `few` is a power of two


def test_parties_of_three_take_the_circuit():
    three = mpc.Form(Semi2k, 3, dealer=True)
    world = World(three, n=4)

    async def program(p: Any) -> None:
        await p.msb(p.public(p.constant(5, (1,))))

    world.run(program)
    assert world.rounds == adder.top_rounds(64, 3)


@pytest.mark.parametrize("change", [lambda b: b[:-8], lambda b: b + bytes(8)])
def test_keys_of_another_length_are_refused(change, monkeypatch):
    """A dealer's message that is not as long as the keys of so many signs."""
    deal = kernels.compare_deal

    def wrong(*args: Any) -> np.ndarray:
        return np.frombuffer(change(deal(*args).tobytes()), np.uint8)

    monkeypatch.setattr(kernels, "compare_deal", wrong)

    async def program(p: Any) -> None:
        await p.msb(p.public(p.constant(5, (64,))))

    with pytest.raises(FrameError, match=r"has 583\d\d bytes\n  wanted: 58368 bytes"):
        two().run(program)


def test_kernels_refuse_what_does_not_fit():
    x = np.arange(4, dtype=np.uint64)
    cipher, *roots = KEYS
    dealt = kernels.compare_deal(x, 20, cipher, *roots)
    assert dealt.size == 4 * kernels.compare_len(20)
    for bound in (0, 65, 2**32 - 1):
        with pytest.raises(ValueError, match="wanted 1 to 64"):
            kernels.compare_deal(x, bound, cipher, *roots)
        with pytest.raises(ValueError, match="wanted 1 to 64"):
            kernels.compare_sign(x, bound, cipher, roots[0], False, dealt)
    for wrong in (dealt[:-1].copy(), np.concatenate([dealt, dealt[:1]]), dealt[:0].copy()):
        with pytest.raises(ValueError, match=rf"dealt has {wrong.size} elements, wanted {dealt.size}"):
            kernels.compare_sign(x, 20, cipher, roots[0], False, wrong)
    for keys in ((b"short", *roots), (cipher, b"", roots[1]), (cipher, roots[0], bytes(17))):
        with pytest.raises(ValueError, match="wanted 16"):
            kernels.compare_deal(x, 20, *keys)
    with pytest.raises(ValueError, match="wanted 1 to 128"):
        kernels.compare_len(0)
    with pytest.raises(ValueError, match="C-contiguous"):
        kernels.compare_deal(x[::2], 20, cipher, *roots)
    with pytest.raises(TypeError, match="bytes"):
        kernels.compare_sign(np.zeros(4, np.uint16), 20, cipher, roots[0], False, dealt)


def test_keys_of_one_mask_depend_on_cipher_and_roots():
    r = np.full(64, 12345, np.uint64)
    found = {kernels.compare_deal(r, 30, *keys).tobytes() for keys in (KEYS, KEYS[::-1], [KEYS[0], KEYS[2], KEYS[1]])}
    assert len(found) == 3
