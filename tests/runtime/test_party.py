"""What crosses between parties: names, packets, draws, kernels."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot._core import mail, prf
from argot.errors import FrameError, ProgramError, ProgramMismatch
from argot.runtime import Party, Spec, gather
from argot.runtime.party import check_leftovers

KEYS = {frozenset(s): bytes([sum(1 << r for r in s)]) * 32 for s in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]}


def party(rank: int, *, run: int = 0, n: int = 2, **options) -> Party:
    return Party(rank, n, {s: k for s, k in KEYS.items() if rank in s}, bytes([run]) * 32, **options)


def together(left, right, as_view=False, **options):
    """Run two coroutine functions at two parties to the end; returns both results. Packets come as bytes or views."""
    parties = [party(0, **options), party(1, **options)]
    for one, fn in zip(parties, (left, right), strict=True):
        one.start(fn(one))
    moved = True
    while moved:
        moved = False
        for rank, one in enumerate(parties):
            for peer, parts in one.advance().items():
                packet = b"".join(parts)
                parties[peer].deliver(rank, memoryview(packet) if as_view else packet)
                moved = True
    return [one.result() for one in parties]


Z128 = np.dtype([("lo", "<u8"), ("hi", "<u8")])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 5), max_size=3).map(tuple) | st.just((3000,)),
            st.sampled_from([np.dtype(t) for t in ("u1", "u4", "u8", "i8", "f8")] + [Z128]),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_arrays_arrive_as_they_were_aligned_and_read_only(kinds, as_view):
    rng = np.random.default_rng(0)
    arrays = [
        np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape) for shape, dtype in kinds
    ]

    async def left(p):
        for x in arrays:
            p.send(1, x)

    async def right(p):
        return [await p.recv(0, x if i % 2 else Spec(x.shape, x.dtype)) for i, x in enumerate(arrays)]

    for sent, came in zip(arrays, together(left, right, as_view)[1], strict=True):
        assert came.shape == sent.shape and came.dtype == sent.dtype and came.tobytes() == sent.tobytes()
        address = came.__array_interface__["data"][0]
        assert address % min(8, came.dtype.itemsize) == 0 or came.size == 0
        assert not came.flags.writeable


def test_strided_arrays_and_bytes():
    x = np.arange(6000, dtype=np.uint64).reshape(60, 100)

    async def left(p):
        p.send(1, x.T)
        p.send(1, x[::2, 3])
        p.send(1, b"abc")
        p.send(1, bytearray(b""))

    async def right(p):
        return [
            await p.recv(0, x.T),
            await p.recv(0, Spec((30,), x.dtype)),
            await p.recv(0, bytes),
            await p.recv(0, 0),
        ]

    for as_view in (False, True):
        a, b, c, d = together(left, right, as_view)[1]
        assert type(c) is bytes
    assert (a == x.T).all() and (b == x[::2, 3]).all() and (c, d) == (b"abc", b"")


@pytest.mark.parametrize("like", [np.zeros(3, np.uint64), Spec((2,), np.dtype(np.uint32)), 5])
def test_another_length_is_an_error_that_says_both(like):
    async def left(p):
        p.send(1, np.zeros(2, np.uint64))

    async def right(p):
        await p.recv(0, like)

    with pytest.raises(FrameError, match=r"message 0 of root from party 0 has 16 bytes\n  wanted: \d+ bytes"):
        together(left, right)


def test_peers_that_do_not_exist():
    async def to_itself(p):
        p.send(0, b"")

    async def from_nobody(p):
        await p.recv(7, bytes)

    for fn in (to_itself, from_nobody):
        one = party(0)
        one.start(fn(one))
        one.advance()
        with pytest.raises(ProgramError, match="wanted: another of 2 parties"):
            one.result()


@pytest.mark.parametrize("cut", [1, 31, 32, 39])
def test_truncated_packets(cut):
    async def left(p):
        p.send(1, np.zeros(1, np.uint64))

    sender, receiver = party(0), party(1)
    sender.start(left(sender))
    packet = b"".join(sender.advance()[1])
    with pytest.raises(FrameError, match="a packet of party 0 ends within"):
        receiver.deliver(0, packet[:cut])


def test_a_message_twice():
    async def left(p):
        p.send(1, b"x")

    async def right(p):
        await p.recv(0, bytes)

    for debug in (False, True):
        sender, receiver = party(0), party(1, debug=debug)
        sender.start(left(sender))
        packet = b"".join(sender.advance()[1])
        receiver.deliver(0, packet)
        with pytest.raises(FrameError, match="twice"):
            receiver.deliver(0, packet)
    receiver = party(1)  # without debug a replay after the message was received is left over at the end
    receiver.start(right(receiver))
    receiver.deliver(0, packet)
    receiver.advance()
    receiver.deliver(0, packet)
    with pytest.raises(ProgramMismatch, match=r"alice sent message 0 of .*, which bob never received"):
        check_leftovers(receiver, ["alice", "bob"])


def test_draws_are_common_to_their_subset_and_to_nobody_else():
    async def draws(p):
        async def child():
            return {s: p.key(*s) for s in KEYS if p.rank in s}

        return [*await gather(child(), child()), await child()]

    def run(rank, number):
        one = party(rank, run=number, n=3)
        one.start(draws(one))
        one.advance()
        return one.result()

    zero, one, two, again = run(0, 0), run(1, 0), run(2, 0), run(0, 1)
    for i in range(3):
        assert zero[i][frozenset({0, 1})] == one[i][frozenset({0, 1})]
        assert zero[i][frozenset({0, 2})] == two[i][frozenset({0, 2})]
        assert one[i][frozenset({1, 2})] == two[i][frozenset({1, 2})]
    every = [key for result in (zero, one, two, again) for keys in result for key in keys.values()]
    assert len(set(every)) == 3 * 6 + 3 * 3  # three places, six subsets; and the run again, three of them


def test_draws_without_a_key_are_refused():
    async def main(p):
        p.draw((3,), np.uint64, 1, 2)

    one = party(0, n=3)
    one.start(main(one))
    one.advance()
    with pytest.raises(ProgramError, match=r"party 0 draws with parties \[1, 2\]"):
        one.result()


def test_a_name_drawn_twice_raises_in_debug():
    async def main(p):
        p.key(0, 1)
        p._scheduler.start(p.task.coro, p.record)  # a second root, as of a broken scheduler
        p._scheduler.task = p._scheduler.root
        p.key(0, 1)

    one = party(0, debug=True)
    one.start(main(one))
    one.advance()
    with pytest.raises(ProgramError, match=r"drew the name .* of root twice"):
        one.result()


def test_an_array_changed_after_sending_raises_in_debug():
    async def main(p):
        x = np.zeros(10_000, np.uint64)
        p.send(1, x)
        x += 1

    one = party(0, debug=True)
    one.start(main(one))
    with pytest.raises(ProgramError, match="changed an array of 80000 bytes after sending"):
        one.advance()


def test_much_for_one_peer_leaves_at_once():
    flushed = []

    async def main(p):
        p.send(1, np.zeros(10, np.uint8))
        p.send(1, np.zeros(1000, np.uint8))
        assert [peer for peer, _ in flushed] == [1]
        p.send(1, np.zeros(20, np.uint8))

    one = party(0, flush=lambda peer, parts: flushed.append((peer, b"".join(parts))), flush_bytes=1000)
    one.start(main(one))
    rest = one.advance()
    assert len(flushed[0][1]) == 32 + 16 + 32 + 1000
    assert len(b"".join(rest[1])) == 32 + 24


def test_a_message_does_not_wait_for_a_party_that_waits_for_nobody():
    async def main(p):
        for _ in range(3):
            p.send(1, b"one")
            p.send(1, b"another")  # at the end of the step both leave: the first has waited too long
            await gather(*[pause()])

    async def pause():
        return None

    hurried, calm = party(0, patience=0.0), party(0, patience=60.0)
    hurried.start(main(hurried))
    calm.start(main(calm))
    packets = []
    while not hurried.finished:
        packets.append(len(b"".join(hurried.advance().get(1, []))) // 40)
    assert [n for n in packets if n] == [2, 2, 2]
    assert len(b"".join(calm.advance()[1])) == 6 * 40 and calm.finished


def test_a_small_message_does_not_wait_behind_large_ones_for_another():
    async def main(p):
        p.send(2, b"small")
        for _ in range(3):
            p.send(1, np.zeros(3000, np.uint8))
            await gather(*[pause()])

    async def pause():
        return None

    flushed = []
    one = party(0, n=3, patience=0.0, flush=lambda peer, parts: flushed.append(peer), flush_bytes=1000)
    one.start(main(one))
    assert list(one.advance()) == [2] and flushed == [1]
    one.close()


@pytest.mark.parametrize("beside", [0, 1])
def test_what_a_peer_that_is_ahead_waits_for_leaves_before_this_one_goes_on(beside):
    """Else the two would compute by turns. Where other tasks can run, messages share a packet as ever."""
    happened = []

    async def meet(p):
        await p.exchange(1 - p.rank, np.zeros(4, np.uint64))
        happened.append((p.rank, "goes on"))

    async def other(p):
        happened.append((p.rank, "other"))

    def made(rank):
        one = party(rank, flush=lambda peer, parts: happened.append((rank, "sends")))
        one.start(one_of(one))
        return one

    async def one_of(p):
        await gather(meet(p), *(other(p) for _ in range(beside)))

    ahead, behind = made(1), made(0)
    behind.deliver(1, b"".join(ahead.advance()[0]))
    assert happened == [(1, "other")] * beside
    happened.clear()
    left = behind.advance()
    if beside:
        assert happened == [(0, "goes on"), (0, "other")] and list(left) == [1]
    else:
        assert happened == [(0, "sends"), (0, "goes on")] and not left


def test_a_counter_ends_before_a_name_comes_again():
    """Counting to 2^32 takes hours, so the counter of children is found in memory and set to its end."""
    parent = mail.Place(None, 2)
    size = type(parent).__basicsize__
    before = ctypes.string_at(id(parent), size)
    mail.Place(parent, 2)
    after = ctypes.string_at(id(parent), size)
    (place,) = [i for i in range(size) if before[i] != after[i]]
    ctypes.c_uint32.from_address(id(parent) + place).value = 2**32 - 1
    with pytest.raises(ProgramError, match=r"more than 2\^32 - 1 children"):
        mail.Place(parent, 2)


@pytest.mark.parametrize("peer", [-1, 0, 2])
def test_who_is_no_peer(peer):
    async def sends(p):
        p.send(peer, b"x")

    async def receives(p):
        await p.recv(peer, 1)

    for program in (sends, receives):
        one = party(0)
        one.start(program(one))
        one.advance()
        with pytest.raises(ProgramError, match=f"party {peer}"):
            one.result()


def test_who_waits_and_what_is_left_is_told_in_order():
    async def receives(p, i):
        await p.recv(1, 1)

    async def many(p):
        await gather(*(receives(p, i) for i in range(9)))

    async def sends(p, i):
        p.send(0, bytes([i]))

    async def all_of_them(p):
        await gather(*(sends(p, i) for i in range(9)))

    waiter, sender, idle = party(0), party(1), party(0)
    waiter.start(many(waiter))
    waiter.advance()
    assert [what for _, what in waiter.waits()] == [f"message 0 of root/{i}" for i in range(9)]
    waiter.close()
    sender.start(all_of_them(sender))
    idle.deliver(1, b"".join(sender.advance()[0]))
    assert idle.leftovers()[0][1][:16] == prf.hash(b"\x01" + bytes(4))[:16]


def test_heavy_kernels_leave_the_thread_and_messages_go_first():
    here = threading.get_ident()

    async def heavy(p, cost_ns):
        p.send(1, b"before")
        return await p.compute(threading.get_ident, cost_ns=cost_ns)

    async def main(p):
        return await gather(heavy(p, 10), heavy(p, None), heavy(p, 5_000_000))

    one = party(0, compute_ns=1_000_000)
    one.start(main(one))
    sent = []
    while not one.finished:
        sent.append(sum(len(b"".join(parts)) for parts in one.advance().values()) // 40)
        jobs, one.jobs = one.jobs, []
        for job in jobs:
            assert sum(sent) >= 2
            thread = threading.Thread(target=job.run)
            thread.start()
            thread.join()
            one.complete(job)
    inline, unknown, known = one.result()
    assert inline == here and here not in (unknown, known)


def test_an_error_in_a_kernel_reaches_its_caller():
    async def main(p):
        try:
            await p.compute(lambda: 1 / 0)
        except ZeroDivisionError:
            return "caught"

    one = party(0, compute_ns=0)
    one.start(main(one))
    one.advance()
    one.complete(one.jobs.pop().run())
    one.advance()
    assert one.result() == "caught"
