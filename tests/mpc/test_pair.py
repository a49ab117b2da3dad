"""What two parties keep with each other: ranges of correlations, keys, and messages that are none."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from runtime_wires import Wires

from argot.errors import ArgotError, FrameError, PartyLost
from argot.mpc import transfer_costs as costs
from argot.mpc.cheetah import Cheetah
from argot.mpc.pair import Pair
from argot.runtime.session import Session, agree_keys
from argot.runtime.world import World, forget_kept

NAMES = ("alice", "bob")
N = 3000


class Line:
    """A channel whose messages are kept."""

    ahead, directory = False, None

    def __init__(self, rank: int, key: bytes) -> None:
        self.key, self.rank, self.peer = key, rank, 1 - rank
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)


def sides(key: bytes | None = None) -> tuple[Pair, Pair, Line, Line]:
    """Two sides on a line by hand."""
    lines = [Line(rank, key or bytes(32)) for rank in range(2)]
    return Pair(lines[0]), Pair(lines[1]), *lines


def carry(pairs: tuple[Pair, Pair, Line, Line]) -> None:
    """Deliver everything."""
    one, other, first, second = pairs
    while first.sent or second.sent:
        for line, to in ((first, other), (second, one)):
            while line.sent:
                to.handle(line.sent.pop(0))
                while to.work():
                    pass


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (b"", "an empty message"),
        (b"\x09", "message 9"),
        (b"\x00" + b"short", "party 1 sent what it should not have"),
        (b"\x01" + bytes(100), "out of step"),
        (b"\x02" + bytes(100), "out of step"),
        (b"\x04" + bytes(100), "nobody asked for"),
        (b"\x03" + b"\xff" * 4, "asks for 4294967295 extensions"),
        (b"\x03" + b"\x01", "asks for 1 extensions"),
        (b"\x05", "a key of a kind"),
        (b"\x05\x0bsecrets,1,2" + bytes(10), "a key of a kind"),
        (b"\x05\x0eproducts,99,64" + bytes(10), "a key of a kind"),
        (b"\x05\x11products,64,64,64" + bytes(10), "party 1 sent what it should not have"),
    ],
)
def test_messages_that_are_none_are_named(message: bytes, match: str) -> None:
    pair, *_ = sides()
    with pytest.raises(FrameError, match=match):
        pair.handle(message)


def test_a_key_of_other_parameters_is_named() -> None:
    one, other, _, line = sides()
    other._lattice("products", (32, 32, 32))
    (message,) = line.sent
    with pytest.raises(FrameError, match="party 1 sent"):
        one.handle(message.replace(b"products,32,32,32", b"products,64,64,64"))


def test_a_range_is_given_out_once() -> None:
    forget_kept()

    async def program(p: Any) -> None:
        pair = p.party.kept(1 - p.party.rank, Pair)
        if p.party.rank == 0:
            start = pair.allot(100)
            await pair.receiver(p.party, start, 100)
            return
        with pytest.raises(FrameError, match="names correlation"):
            await pair.sender(p.party, 1 << 60, 1)
        await pair.sender(p.party, 10, 50)
        with pytest.raises(FrameError, match="party 0 names correlations again"):
            await pair.sender(p.party, 59, 41)
        await pair.sender(p.party, 60, 40)

    World(Cheetah, n=2).run(program)
    forget_kept()


@pytest.mark.parametrize(("columns", "kind"), [(3, "matrices"), (90, "merging")])
def test_keys_that_merge_are_made_for_large_matrices(columns: int, kind: str) -> None:
    """Small ones take fewer bytes than the keys."""
    forget_kept()
    shapes = (100, 70), (70, columns)
    x, y = (np.random.default_rng(3).integers(1 << 64, size=shape, dtype=np.uint64) for shape in shapes)

    async def program(p: Any) -> Any:
        a = await p.share(x if p.party.rank == 0 else None, 0, x.shape)
        b = await p.share(y if p.party.rank == 1 else None, 1, y.shape)
        product = await p.reveal_to(await p.matmul(a, b), [0, 1])
        return product, set(p.party.kept(1 - p.party.rank, Pair)._lattices)

    assert costs.merging(64, 100, 70, columns) == (kind == "merging")
    for product, kinds in World(Cheetah, n=2).run(program):
        np.testing.assert_array_equal(product, x @ y)
        assert kinds == {(kind, 64, 64)}
    forget_kept()


def test_an_extension_comes_once() -> None:
    pairs = sides()
    pairs[0].allot(1)
    carry(pairs)
    pairs[0].allot(pairs[0]._into.end.gain)
    while pairs[2].sent:
        pairs[1].handle(pairs[2].sent.pop(0))
    assert pairs[1].work() and not pairs[1].work()
    (extension,) = pairs[3].sent
    pairs[0].handle(extension)
    with pytest.raises(FrameError, match="nobody asked for"):
        pairs[0].handle(extension)


def keys_of(wires: Wires) -> list[Any]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: agree_keys(wires.link(name), name, NAMES, b"device", timeout=10), NAMES))


def sessions_on(wires: Wires) -> list[Session]:
    keys = keys_of(wires)
    return [Session(wires.link(n), n, NAMES, b"device", k, debug=True) for n, k in zip(NAMES, keys, strict=True)]


async def compared(party: Any) -> Any:
    p = Cheetah(party)
    x, y = np.arange(N, dtype=np.uint64), np.arange(N, dtype=np.uint64)[::-1].copy()
    a = await p.share(x if party.rank == 0 else None, 0, (N,))
    b = await p.share(y if party.rank == 1 else None, 1, (N,))
    bits = await p.reveal_bits_to(await p.less_than(a, b), [0])
    product = await p.reveal_to(await p.mul(a, b), [0])
    return None if bits is None else (bits.to_bool(), product, x, y)


def run(sessions: list[Session], label: bytes) -> list[Any]:
    """What both sides return, or the error of each."""

    def one(session: Session) -> Any:
        try:
            return session.run(compared, node=bytes(32), label=label, deadline=60)
        except ArgotError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, sessions))


def test_sessions_make_correlations_once_and_keep_them() -> None:
    sessions = sessions_on(Wires())
    try:
        sent = []
        for label in (b"first", b"second"):
            (found, meter), (_, other) = run(sessions, label)
            less, product, x, y = found
            assert (less == (x < y)).all() and (product == x * y).all()
            assert meter.sent_bytes > 0
            sent.append(meter.ahead_bytes + other.ahead_bytes)
        assert sent[0] > 500_000  # the set-up, extensions and keys
        assert sent[1] < sent[0]
    finally:
        for session in sessions:
            session.close()


def test_a_peer_that_goes_in_the_middle_of_an_extension_is_named() -> None:
    wires: Wires
    extensions = threading.Event()

    def lost(sender: str, receiver: str, data: bytes) -> bytes | None:
        if sender == "bob" and len(data) > 200_000 and data[:1] == b"\x04":
            extensions.set()
            wires.gone.add("bob")  # what comes after it does not leave
            threading.Thread(target=wires.lose, args=("bob",)).start()
            return None
        return data

    wires = Wires(lost)
    sessions = sessions_on(wires)
    try:
        alice, _ = run(sessions, b"first")
        assert extensions.is_set()
        assert isinstance(alice, PartyLost) and alice.party == "bob"
    finally:
        for session in sessions:
            session.close()


def test_an_extension_of_another_length_ends_the_run_at_both() -> None:
    def cut(sender: str, receiver: str, data: bytes) -> bytes | None:
        return data[:-1] if sender == "bob" and len(data) > 200_000 and data[:1] == b"\x04" else data

    sessions = sessions_on(Wires(cut))
    try:
        alice, bob = run(sessions, b"first")
        assert isinstance(alice, FrameError) and "party 1" in str(alice)
        assert isinstance(bob, ArgotError) and "alice" in str(bob)
    finally:
        for session in sessions:
            session.close()
