"""Products that two parties make ahead: on disks, over restarts, and none twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argot._core import ot
from argot.errors import FrameError, PartyError
from argot.mpc import ripple, stock
from argot.mpc.bits import Bits
from argot.mpc.stock import Products

HAVE, SHARE, ALONE, KEEP, LOST, STOCKED = range(16, 22)


class Line:
    """A channel whose messages are kept."""

    ahead = True

    def __init__(self, rank: int, key: bytes, directory: Path | None) -> None:
        self.key, self.rank, self.peer, self.directory = key, rank, 1 - rank, directory
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)


class Two:
    """Both sides of one device, and the kinds of all messages between them."""

    def __init__(self, where: Path | None, key: int = 0) -> None:
        places = [where and where / name for name in ("alice", "bob")]
        self.lines = [Line(rank, bytes([key]) * 32, places[rank]) for rank in range(2)]
        self.sides = [Products(line) for line in self.lines]
        self.kinds: list[int] = []
        self.gain = self.sides[0]._into.end.gain

    def carry(self, *, idle: bool = True) -> None:
        """Deliver everything, and do what is to be done; with `idle` also what may be done ahead."""
        moved = True
        while moved:
            moved = False
            for rank in range(2):
                while self.lines[rank].sent:
                    message = self.lines[rank].sent.pop(0)
                    self.kinds.append(message[0])
                    self.sides[1 - rank].handle(message)
                    moved = True
            for side in self.sides:
                while (idle or side._extended < side._wanted) and side.work():
                    moved = True

    def use(self, words: int, *, idle: bool = True) -> None:
        """Take products in which alice receives; they must be products."""
        alice, bob = self.sides
        start = alice.allot(words)
        self.carry(idle=idle)
        a, v = done(alice.receiver(Settled(), start, 1, words))
        b, u = done(bob.sender(Settled(), start, 1, words))
        assert (u ^ v == a & b).all() and np.any(a) and np.any(b)

    def close(self) -> None:
        for side in self.sides:
            side.fail(PartyError("the device was closed"))


class Settled:
    """A party for which everything has been settled."""

    async def settled(self, future: Any) -> None:
        assert future.done()


def done(work: Any) -> Any:
    return asyncio.run(work)


@pytest.fixture(autouse=True)
def small_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "SIZE", "small")


@pytest.fixture
def device(tmp_path: Path) -> Callable[..., Two]:
    return lambda key=0: Two(tmp_path, key)


def extensions(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.name != "lock")


def test_as_many_are_made_ahead_as_were_used(device: Callable[..., Two], tmp_path: Path) -> None:
    two = device()
    two.use(two.gain + 1, idle=False)
    assert two.kinds.count(KEEP) == 0
    two.carry()
    assert two.kinds.count(KEEP) == 2
    names = [name.split(".")[0] for name in extensions(tmp_path / "alice")]
    assert names == [name.split(".")[0] for name in extensions(tmp_path / "bob")] and len(names) == 2
    two.kinds.clear()
    two.use(two.gain)
    assert two.kinds.count(STOCKED) == 1 and two.kinds.count(KEEP) == 2 and extensions(tmp_path / "bob")


def test_there_is_a_most(device: Callable[..., Two], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "MOST", 2)
    two = device()
    two.use(4 * two.gain)
    assert len(extensions(tmp_path / "bob")) == 2
    with pytest.raises(FrameError, match="for a stock that is full"):
        two.sides[0].handle(bytes([KEEP]) + b"more")


def test_they_outlast_the_device_and_are_used_first(device: Callable[..., Two]) -> None:
    first = device()
    first.use(2 * first.gain)
    first.close()
    second = device(key=1)
    second.use(2 * second.gain, idle=False)
    assert second.kinds.count(STOCKED) == 2 and second.kinds.count(4) == 0, "no extension is made"
    second.use(second.gain, idle=False)
    assert second.kinds.count(4) == 1, "then they are"


def test_what_one_party_lost_or_used_the_other_gives_up(device: Callable[..., Two], tmp_path: Path) -> None:
    first = device()
    first.use(2 * first.gain)
    first.close()
    (tmp_path / "bob" / extensions(tmp_path / "bob")[0]).unlink()
    second = device(key=1)
    second.use(1, idle=False)
    assert second.kinds.count(STOCKED) == 1
    assert extensions(tmp_path / "alice") == extensions(tmp_path / "bob") == []


def test_an_old_copy_of_one_party_is_not_used_again(device: Callable[..., Two], tmp_path: Path) -> None:
    first = device()
    first.use(first.gain)
    first.close()
    shutil.copytree(tmp_path / "bob", tmp_path / "copy")
    second = device(key=1)
    second.use(second.gain, idle=False)
    second.close()
    shutil.rmtree(tmp_path / "bob")
    (tmp_path / "copy").rename(tmp_path / "bob")
    assert extensions(tmp_path / "bob")
    third = device(key=2)
    third.use(1, idle=False)
    assert third.kinds.count(STOCKED) == 0 and extensions(tmp_path / "bob") == []


def test_an_extension_that_is_gone_is_refused(device: Callable[..., Two], tmp_path: Path) -> None:
    first = device()
    first.use(first.gain)
    (name,) = (bytes.fromhex(name.split(".")[0]) for name in extensions(tmp_path / "bob"))
    first.use(first.gain, idle=False)
    alice, bob = first.sides
    alice.allot(first.gain)
    with pytest.raises(FrameError, match=r"not in the stock.*none is handed out twice"):
        alice.handle(bytes([STOCKED]) + name)
    with pytest.raises(ot.Reused, match="none is handed out twice"):
        bob._out.end.load(bob._stock, name)
    with pytest.raises(FrameError, match="not in the stock"):
        alice.handle(bytes([STOCKED]) + b"short")


def test_one_device_at_a_time_has_it(device: Callable[..., Two]) -> None:
    first = device()
    first.use(first.gain)
    second = device(key=1)
    second.use(second.gain)
    assert {HAVE, SHARE, KEEP, STOCKED}.isdisjoint(second.kinds)
    first.close()
    third = device(key=2)
    third.use(third.gain)
    assert STOCKED in third.kinds


def test_a_peer_without_a_place_makes_none(tmp_path: Path) -> None:
    two = Two(tmp_path)
    two.sides[0] = Products(Line(0, bytes(32), None))
    two.lines[0] = two.sides[0].channel
    two.use(two.gain)
    assert ALONE in two.kinds and KEEP not in two.kinds
    assert two.sides[0]._into.end.made == 2 * two.gain, "in memory instead"
    Products(Line(1, bytes(32), tmp_path / "bob"))  # the stock is free


def test_a_range_is_named_only_when_one_has_its_products(device: Callable[..., Two], tmp_path: Path) -> None:
    """Else the peer could hide something under products of which this party's disk still has its own, which an old copy
    at the peer would bring back."""
    asked: list[str] = []

    class Told(Settled):
        rank = 0

        def kept(self, peer: int, kind: type) -> Any:
            return self

        def send(self, peer: int, message: Any, head: int = 0) -> None:
            asked.append("sent")

        def tell(self, party: Any, start: int) -> None:
            self.send(1, start)

        def allot(self, n: int) -> int:
            return 0

        async def receiver(self, *args: Any) -> Any:
            asked.append("taken")
            return np.zeros((3, 1), np.uint64), np.zeros((3, 1), np.uint64)

        async def heard(self, party: Any) -> Any:
            raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        done(ripple.carry(Told(), Bits.zeros((5,), 3)))
    assert asked == ["taken", "sent", "sent"]


def test_without_a_place_they_are_made_ahead_in_memory() -> None:
    two = Two(None)
    two.use(two.gain)
    assert two.sides[0]._into.end.made == 2 * two.gain and KEEP not in two.kinds


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (bytes([HAVE]) + b"odd", "3 bytes of names"),
        (bytes([HAVE]) + bytes(32), "each once"),
        (bytes([SHARE]) + bytes(16), "message 17"),
        (bytes([KEEP]), "out of step"),
        (bytes([STOCKED]) + bytes(16), "nobody asked for"),
        (b"\x05", "message 5"),
    ],
)
def test_messages_that_are_none_are_named(device: Callable[..., Two], message: bytes, match: str) -> None:
    with pytest.raises(FrameError, match=match):
        device().sides[0].handle(message)


def test_names_of_others_are_refused(device: Callable[..., Two]) -> None:
    two = device()
    two.sides[0].allot(1)
    two.sides[1].handle(two.lines[0].sent.pop())
    with pytest.raises(FrameError, match="never sent"):
        two.sides[1].handle(bytes([SHARE]) + bytes(16))


@pytest.mark.parametrize("lost", ["alice", "bob"])
def test_a_disk_that_fails_ends_the_making_ahead_alone(device: Callable[..., Two], tmp_path: Path, lost: str) -> None:
    two = device()
    two.use(two.gain, idle=False)
    shutil.rmtree(tmp_path / lost)
    two.use(two.gain)
    made = two.kinds.count(KEEP)
    assert made >= 1 and two.kinds.count(LOST) == (made if lost == "alice" else 0)
    two.use(3 * two.gain)
    assert two.kinds.count(KEEP) == made, "no more of them"


def test_a_place_that_others_see_is_named(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir(mode=0o755)
    with pytest.raises(PartyError, match=r"alice: others may read or write it"):
        Two(tmp_path)


def test_a_file_that_was_deleted_is_named(device: Callable[..., Two], tmp_path: Path) -> None:
    two = device()
    two.use(two.gain)
    for name in extensions(tmp_path / "bob"):
        (tmp_path / "bob" / name).unlink()
    two.sides[0].allot(two.gain)
    with pytest.raises(PartyError, match="is not in the stock"):
        two.carry()
