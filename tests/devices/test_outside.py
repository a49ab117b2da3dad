"""What a party outside of a device puts there and is told, on every protocol: values, masks, and wrong lengths."""

from __future__ import annotations

from struct import pack, unpack_from

import numpy as np
import pytest

from argot import mpc
from argot.devices import outside
from argot.devices.mpc import reference
from argot.errors import FrameError, ProgramMismatch
from argot.mpc.bits import Bits
from argot.mpc.protocol import FRACTION_BITS, RINGS, addends_of
from argot.runtime.world import World
from argot.vm.ir import TensorType
from argot.vm.values import Private, Public, Secret, encode

FORMS = [
    pytest.param(form, id=repr(form), marks=[pytest.mark.slow] if form.parties > 3 else [])
    for form in mpc.forms()
    if form.parties > 1
]
N = 64 * 100
VALUES = [
    (np.linspace(-2, 2, 6).reshape(2, 3), "fixed"),
    (np.array([True, False, True, True]), "bool"),
    (np.array([-128, 127, 5]), "i8"),
    (np.array(2**20), "i32"),
    (np.zeros((0, 2)), "fixed"),
]


def world(form, **options):
    """The members of a device and one party more, which is the last."""
    return World(lambda party: party, n=form.parties + 1, **options)


def typed(dtype, array):
    return TensorType(dtype, array.shape)


def given(arrays, k):
    plain = reference(k, FRACTION_BITS[k])
    return [encode(array, typed(dtype, array), plain) for array, dtype in arrays]


def give(form, arrays, k=64, **options):
    types = [typed(dtype, array) for array, dtype in arrays]

    async def program(party):
        mine = given(arrays, k) if party.rank == form.parties else None
        return await outside.give(form, party, k, types, mine)

    return world(form, **options).run(program)


def tell(form, types, held, k=64, kinds=None, **options):
    kinds = [outside.SECRET] * len(types) if kinds is None else kinds

    async def program(party, values):
        return await outside.tell(party, k, FRACTION_BITS[k], types, kinds, values)

    return world(form, **options).run(program, [*held, None])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [32, 64, 128])
def test_what_is_given_is_what_is_told(form, k):
    *held, nothing = give(form, VALUES, k)
    assert nothing is None
    *none, found = tell(form, [typed(dtype, array) for array, dtype in VALUES], held, k)
    assert none == [None] * form.parties
    for (array, _), got in zip(VALUES, found, strict=True):
        assert got.shape == array.shape
        np.testing.assert_allclose(got, array, atol=2.0 ** -FRACTION_BITS[k])


@pytest.mark.parametrize("form", FORMS)
def test_shares_are_those_that_the_protocol_computes_on(form):
    """Members multiply what they were given, and open it as the protocol does."""
    x = np.linspace(-2, 2, 64)
    held = give(form, [(x, "fixed"), (x > 0, "bool")])[:-1]

    async def program(p, values):
        number, bit = values
        product = await p.mul_bit(bit.share, await p.mul_trunc(number.share, number.share))
        return await p.reveal_to(product, range(p.parties))

    for found in World(form, n=form.parties).run(program, held):
        np.testing.assert_allclose(reference(64, 18).decode(found), np.where(x > 0, x * x, 0), atol=2.0**-16)


def uniform(sample):
    """Chi-square over the values of bytes, about normal with 255 degrees of freedom."""
    counts = np.bincount(np.frombuffer(sample, np.uint8), minlength=256)
    expected = len(sample) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return abs(statistic - 255) < 7 * np.sqrt(2 * 255)


class Listener:
    """The payloads of each message by sender and receiver, in order."""

    def __init__(self):
        self.heard = {}

    def __call__(self, sender, receiver, packet):
        at = 0
        while at < len(packet):
            (size,) = unpack_from("<Q", packet, at + 24)
            self.heard.setdefault((sender, receiver), []).append(bytes(packet[at + 32 : at + 32 + size]))
            at += 32 + size + -size % 8
        return [packet]


CONSTANTS = [(np.full(N, 1.5), "fixed"), (np.ones(N, bool), "bool"), (np.full(N, 3), "i32")]


@pytest.mark.parametrize("form", FORMS)
def test_what_each_member_is_given_is_uniform_and_new_each_time(form):
    first, second = Listener(), Listener()
    for listener in (first, second):
        give(form, CONSTANTS, intercept=listener)
    owner = form.parties
    assert {sender for sender, _ in first.heard} == {owner}
    assert {receiver for _, receiver in first.heard} == set(range(form.parties - form.dealer))
    for pair, payloads in first.heard.items():
        assert len(payloads) == form.held * len(CONSTANTS)
        for payload, later in zip(payloads, second.heard[pair], strict=True):
            assert payload != later  # whatever the keys of the members, which are the same in both worlds
            assert len(payload) < 256 * 5 or uniform(payload)
            difference = np.frombuffer(payload, np.uint8) ^ np.frombuffer(later, np.uint8)
            assert len(payload) < 256 * 5 or uniform(difference.tobytes())


@pytest.mark.parametrize("form", FORMS)
def test_what_the_party_outside_hears_is_uniform_but_for_the_sum(form):
    """Parts that are not hidden would show: here those of the members are all known."""
    words = np.full(N, 77, np.uint64)
    plain = [(words, *[np.zeros(N, np.uint64)] * (form.held - 1))] * form.parties
    types = [TensorType("fixed", (N,))]
    held = [[Secret(mpc.protocol.Arith(parts), types[0])] for parts in plain]
    listener = Listener()
    found = tell(form, types, held, intercept=listener)[-1]
    np.testing.assert_allclose(found[0], np.full(N, 77 * form.parties * 2.0**-18))
    assert set(listener.heard) == {(rank, form.parties) for rank in range(form.parties)}
    for (payload,) in listener.heard.values():
        assert uniform(payload)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("k", [32, 64, 128])
def test_addends_add_up_and_all_but_one_are_uniform(n, k):
    from argot._core import ring

    x = np.zeros(N, RINGS[k])
    parts = addends_of(x, n)
    total = parts[0]
    for part in parts[1:]:
        total = ring.add(total, part)
    assert (total == x).all()
    assert n == 1 or all(uniform(part.tobytes()) for part in parts)
    bits = Bits.zeros((N,), 8)
    words = addends_of(bits, n)
    total = words[0]
    for part in words[1:]:
        total = total ^ part
    assert total.tobytes() == bits.tobytes()
    assert n == 1 or all(uniform(part.tobytes()) for part in words)


@pytest.mark.parametrize("form", FORMS)
def test_parts_of_another_length_name_the_sender(form):
    def longer(sender, receiver, packet):
        (size,) = unpack_from("<Q", packet, 24)
        payload = bytes(packet[32 : 32 + size]) + bytes(8)
        return [bytes(packet[:24]) + pack("<Q", size + 8) + payload + bytes(-len(payload) % 8)]

    owner = form.parties
    x = [(np.arange(8.0), "fixed")]
    with pytest.raises(FrameError, match=f"from party {owner}"):
        give(form, x, intercept=longer)
    held = give(form, x)[:-1]
    with pytest.raises(FrameError, match="from party 0 has 72 bytes"):
        tell(form, [TensorType("fixed", (8,))], held, intercept=longer)


@pytest.mark.parametrize("form", FORMS)
def test_values_that_members_know_are_told_as_they_are(form):
    public = Public(np.array([1 / 3, 1e300]), TensorType("fixed", (2,)))
    type_ = TensorType("i16", (3,))
    mine = given([(np.array([-1, 2, 300]), "i16")], 64)[0]
    last = form.parties - 1
    held = [[public, Private(last, mine if rank == last else None, type_)] for rank in range(form.parties)]
    found = tell(form, [public.type, type_], held, kinds=[outside.PUBLIC, last])[-1]
    assert found[0].tolist() == [1 / 3, 1e300] and found[1].tolist() == [-1, 2, 300]


@pytest.mark.parametrize("form", FORMS)
def test_members_refuse_kinds_and_types_that_are_not_theirs(form):
    """A driver that calls a secret public would have its part sent as it is."""
    type_ = TensorType("fixed", (8,))
    held = give(form, [(np.arange(8.0), "fixed")])[:-1]
    for types, kinds in (([type_], [outside.PUBLIC]), ([type_], [0]), ([TensorType("i32", (8,))], [outside.SECRET])):
        with pytest.raises(ProgramMismatch, match="not as the node says"):
            tell(form, types, held, kinds=kinds)
