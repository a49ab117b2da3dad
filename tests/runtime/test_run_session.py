"""Sessions: agreement, driving, failures; over wires within this process."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from runtime_toy import Toy, words
from runtime_wires import Wires

from argot.errors import (
    ArgotError,
    Deadlock,
    EncodeError,
    FrameError,
    InputRefused,
    PartyError,
    PartyLost,
    ProgramError,
    ProgramMismatch,
)
from argot.runtime import gather, join, spawn
from argot.runtime import session as sessions_module
from argot.runtime.session import Session, agree_keys
from argot.runtime.world import World

NAMES = ("alice", "bob", "carol")
DEVICE = b"device 1"
NODE = bytes(32)


def at_once(*calls):
    """Call all in threads; returns results or errors, in order. Bounded."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.exception(timeout=30) or future.result() for future in futures]


def keys_of(wires, names=NAMES, device=DEVICE):
    return at_once(*(lambda name=name: agree_keys(wires.link(name), name, names, device, timeout=10) for name in names))


@pytest.fixture
def wires():
    return Wires()


@pytest.fixture
def sessions(wires):
    keys = keys_of(wires)
    made = [Session(wires.link(n), n, NAMES, DEVICE, k, debug=True) for n, k in zip(NAMES, keys, strict=True)]
    yield made
    for session in made:
        session.close()


def run(sessions, fn, label=b"1", nodes=(NODE,) * 3, deadline=20.0, deadlines=None):
    """Run `fn(toy)` in all sessions; results or errors. `deadlines`: one for each session."""
    deadlines = deadlines or [deadline] * len(sessions)
    fns = fn if isinstance(fn, list) else [fn] * len(sessions)
    return at_once(
        *(
            lambda s=s, f=f, node=node, end=end: s.run(
                lambda party: f(Toy(party)), node=node, label=label, deadline=end
            )
            for s, f, node, end in zip(sessions, fns, nodes, deadlines, strict=True)
        )
    )


async def squares(p):
    share = await p.share(words(4) if p.party.rank == 0 else None, 0, (4,))
    for _ in range(3):
        share = await p.mul(share, share)
    return await p.reveal(share)


# ----------------------------------------------------------------------------------------------------------- keys


def test_members_of_a_subset_have_its_key_and_nobody_else(wires):
    keys = keys_of(wires)
    everyone = frozenset(range(3))
    assert [set(k) for k in keys] == [
        {frozenset({r}), frozenset({r, (r + 1) % 3}), frozenset({r, (r + 2) % 3}), everyone} for r in range(3)
    ]
    for subset in [{0, 1}, {1, 2}, {0, 2}, {0, 1, 2}]:
        assert len({keys[rank][frozenset(subset)] for rank in subset}) == 1
    assert len({key for k in keys for key in k.values()}) == 3 + 3 + 1
    assert all(len(key) == 32 for k in keys for key in k.values())


def test_what_a_third_party_sees_does_not_hold_a_contribution_of_the_pair(wires):
    """The pair's contributions cross only its own link."""
    keys_of(wires)
    between = {data for a, b, data in wires.log if {a, b} == {"alice", "bob"}}
    parts = [msgspec.msgpack.decode(data[16:])["contributions"] for data in between if b"contributions" in data]
    secret = [offer[0b011] for offer in parts]
    assert len(secret) == 2
    assert not any(part in data for part in secret for a, b, data in wires.log if "carol" in (a, b))


def test_keys_are_fresh_and_bound_to_the_device(wires):
    first, second = keys_of(wires)[0], keys_of(wires, device=b"device 2")[0]
    assert not set(first.values()) & set(second.values())


def test_two_members_have_one_key(wires):
    keys = keys_of(wires, ("alice", "bob"))
    assert keys[0][frozenset({0, 1})] == keys[1][frozenset({0, 1})]


def test_a_tampered_contribution_is_noticed():
    def tamper(sender, receiver, data):
        if (sender, receiver) == ("alice", "bob") and b"contributions" in data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data

    outcome = keys_of(Wires(tamper))
    assert isinstance(outcome[0], ProgramMismatch) and isinstance(outcome[1], ProgramMismatch)


def test_a_member_that_does_not_come(wires):
    with pytest.raises(PartyLost, match="bob did not answer"):
        agree_keys(wires.link("alice"), "alice", ("alice", "bob"), DEVICE, timeout=0.05)


def test_offers_that_are_none():
    def garbage(sender, receiver, data):
        return b"argot control 1\0\xc1" if sender == "alice" else data

    outcome = keys_of(Wires(garbage), ("alice", "bob"))
    assert isinstance(outcome[1], FrameError) and outcome[1].party == "alice"


# ------------------------------------------------------------------------------------------------------------ runs


def test_a_run_is_what_the_world_says(sessions):
    world = World(Toy)

    async def program(p):
        return await squares(p)

    expected = world.run(program)
    outcome = run(sessions, squares)
    for (result, meter), reference in zip(outcome, expected, strict=True):
        assert (result == reference).all()
        assert meter.seconds >= meter.waiting >= 0
        assert {row["path"] for row in meter.record.rows()} == {"", "mul"}
    assert sum(meter.sent_bytes for _, meter in outcome) * 8 == world.bits
    assert sum(meter.messages for _, meter in outcome) == world.messages
    assert [meter.rounds for _, meter in outcome] == [world.rounds] * 3


def test_a_run_that_has_ended_holds_nothing(sessions):
    """Its arrays are free as soon as nobody else uses them, not when the collector next looks for cycles."""
    made = []

    async def piece(p):
        made.append(weakref.ref(array := words(4)))
        return array

    async def fn(p):
        await squares(p)
        spawned = [await spawn(piece(p), limit=2) for _ in range(2)]
        return await gather(piece(p), piece(p), limit=1), [await join(task) for task in spawned]

    gc.collect()
    gc.disable()
    try:
        ended = run(sessions, fn)
        assert len(made) == 12 and all(array() is not None for array in made)
        del ended
        assert not [array for array in made if array() is not None]
    finally:
        gc.enable()


def test_runs_side_by_side(sessions):
    labels = [bytes([i]) for i in range(6)]
    outcome = at_once(*(lambda label=label: run(sessions, squares, label) for label in labels))
    assert all((result == words(4) ** 8).all() for runs in outcome for result, _ in runs)


def test_one_node_run_twice_has_other_masks(wires, sessions):
    """On x and x + 1 no two messages differ by a small known value."""

    async def shared(p, x):
        share = await p.share(x if p.party.rank == 0 else None, 0, (4,))
        return await p.mul(share, share)

    def sent(label, x):
        wires.log.clear()
        run(sessions, lambda p: shared(p, x), label)
        packets = [data for _, _, data in wires.log if not data.startswith(b"argot control")]
        return np.array([word for packet in packets for word in payload_words(packet)], np.uint64)

    def payload_words(packet):
        while packet:
            size = int.from_bytes(packet[24:32], "little")
            yield from np.frombuffer(packet[32 : 32 + size], np.uint64)
            packet = packet[32 + size :]

    x = words(4)
    first, second = sent(b"1", x), sent(b"2", x + np.uint64(1))
    assert len(first) == len(second) == 2 * 4 + 3 * 4
    differences = (first[:, None] - second[None, :]).view(np.int64)
    assert np.abs(differences).min() > 1000
    assert not set(first.tolist()) & set(second.tolist())


def test_a_label_is_not_started_twice(sessions):
    run(sessions, squares)
    assert all(isinstance(e, ProgramError) and "started before" in str(e) for e in run(sessions, squares))


def test_different_nodes_are_named_at_every_party(sessions):
    one, two = bytes([1]) * 32, bytes([2]) * 32
    outcome = run(sessions, squares, nodes=(one, one, two))
    assert [type(error) for error in outcome] == [ProgramMismatch] * 3
    assert all(one.hex() in str(error) and two.hex() in str(error) for error in outcome)


def test_heavy_kernels_overlap_with_messages(sessions):
    """Each party's kernel waits for a message that another task of the run brings."""
    arrived = [threading.Event() for _ in range(3)]

    async def program(p):
        async def kernel():
            return await p.party.compute(lambda: arrived[p.party.rank].wait(10))

        async def talk():
            await squares(p)
            arrived[p.party.rank].set()

        return (await gather(kernel(), talk()))[0]

    assert [result for result, _ in run(sessions, program)] == [True] * 3


def test_large_messages_leave_early(sessions):
    async def program(p):
        x = np.full(300_000, p.party.rank, np.uint64)
        p.party.send((p.party.rank + 1) % 3, x)
        p.party.send((p.party.rank + 1) % 3, x[:10])
        big = await p.party.recv((p.party.rank - 1) % 3, x)
        return int(big[0]) + int((await p.party.recv((p.party.rank - 1) % 3, x[:10]))[0])

    outcome = run(sessions, program)
    assert [result for result, _ in outcome] == [4, 0, 2]
    assert [meter.packets for _, meter in outcome] == [2, 2, 2]


def test_full_windows_all_around_do_not_block_anybody():
    """Everybody sends far more than fits to the next before anybody takes a thing."""
    wires = Wires(window=1000)
    made = [Session(wires.link(n), n, NAMES, DEVICE, k, debug=True) for n, k in zip(NAMES, keys_of(wires), strict=True)]

    async def program(p):
        x = words(200_000)
        for i in range(4):
            p.party.send((p.party.rank + 1) % 3, x[i:])
        p.party.send((p.party.rank + 1) % 3, x[:3])
        got = [await p.party.recv((p.party.rank - 1) % 3, x[i:]) for i in range(4)]
        got.append(await p.party.recv((p.party.rank - 1) % 3, x[:3]))
        return all((g == e).all() for g, e in zip(got, [*(x[i:] for i in range(4)), x[:3]], strict=True))

    assert [result for result, _ in run(made, program)] == [True] * 3
    for session in made:
        session.close()


async def bob_hears_of_alice_first(p, wires, alice):
    """Carol sends 40 MiB to bob, who wants something of alice before; she first does what `alice` says."""
    x, what = np.arange(1 << 17, dtype=np.uint64), np.zeros(1, np.uint64)
    if p.party.rank == 0:
        await alice(p, what)
        p.party.send(1, what)
    elif p.party.rank == 1:
        await p.party.recv(0, what)
        untaken = sum(box.untaken("carol") for (owner, _), box in wires.inboxes.items() if owner == "bob")
        return untaken, all([(await p.party.recv(2, x) == x + i).all() for i in range(40)])
    else:
        for i in range(40):
            p.party.send(1, x + i)
            await p.party.compute(len, x)  # here it may be made to rest
        p.party.send(0, what)
    return None


def three(window):
    wires = Wires(window=window)
    made = [Session(wires.link(n), n, NAMES, DEVICE, k) for n, k in zip(NAMES, keys_of(wires), strict=True)]
    return wires, made


def test_what_nobody_waits_for_stays_in_the_link(monkeypatch):
    """A party that is far ahead fills its window, not the memory of the one that is behind."""
    monkeypatch.setattr(sessions_module, "_HELD_SECONDS", 30.0)
    wires, made = three(window=1 << 40)

    async def program(p):
        async def alice(p, what):
            await p.party.recv(2, what)  # carol has sent all
            time.sleep(0.2)

        return await bob_hears_of_alice_first(p, wires, alice)

    (_, (seen, right), _) = (result for result, _ in run(made, program))
    assert right
    assert 40 << 20 > seen > 30 << 20
    for one in made:
        one.close()


def test_a_party_that_is_held_back_while_others_need_it_goes_on():
    """Carol rests because bob takes nothing of hers; bob waits for alice, and she for carol."""
    wires, made = three(window=1 << 20)

    async def program(p):
        async def alice(p, what):
            await p.party.recv(2, what)

        return await bob_hears_of_alice_first(p, wires, alice)

    assert run(made, program)[1][0][1]
    for one in made:
        one.close()


# -------------------------------------------------------------------------------------------------------- failures


def test_a_lost_party_is_named_by_all(wires, sessions):
    async def dies(p):
        wires.lose("carol")
        await p.party.recv(0, bytes)

    async def waits(p):
        await p.party.recv(2, bytes)

    outcome = run(sessions, [waits, waits, dies], deadline=1.0)
    for error in outcome[:2]:
        assert isinstance(error, PartyLost) and error.party == "carol"


def test_losing_someone_who_has_ended_does_no_harm():
    """Alice ends and goes away while carol still waits for bob's end."""
    gone = threading.Event()

    def slow_end(sender, receiver, data):
        if (sender, receiver) == ("bob", "carol") and b"_End" in data:
            assert gone.wait(10)
        return data

    wires = Wires(slow_end)
    made = [Session(wires.link(n), n, NAMES, DEVICE, k) for n, k in zip(NAMES, keys_of(wires), strict=True)]

    def alice():
        result = made[0].run(lambda party: squares(Toy(party)), node=NODE, label=b"1", deadline=20)
        wires.lose("alice")
        gone.set()
        return result

    others = [lambda s=s: s.run(lambda p: squares(Toy(p)), node=NODE, label=b"1", deadline=20) for s in made[1:]]
    outcome = at_once(alice, *others)
    assert all((result == words(4) ** 8).all() for result, _ in outcome)
    for session in made:
        session.close()


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (EncodeError("NaN in column salary, row 17"), InputRefused),
        (ValueError("secret canary"), PartyError),
        (ProgramError("secret canary"), ProgramError),
        (PartyLost("bob is gone", party="bob"), PartyLost),
    ],
)
def test_of_a_failure_only_the_code_crosses(wires, sessions, raised, seen):
    async def fails(p):
        raise raised

    outcome = run(sessions, [fails, squares, squares])
    assert outcome[0] is raised
    for error in outcome[1:]:
        assert type(error) is seen and isinstance(error, ArgotError)
        assert error.party == ("bob" if seen is PartyLost else "alice")
    assert not any(b"canary" in data or b"salary" in data for _, _, data in wires.log)


def test_a_run_that_cannot_end_is_found(sessions):
    async def program(p):
        if p.party.rank == 1:
            await p.party.recv(0, bytes)

    began = time.monotonic()
    outcome = run(sessions, program)
    assert all(isinstance(error, Deadlock) for error in outcome), outcome
    assert "bob waits for message 0 of root from alice, which nobody sent" in str(outcome[0])
    assert time.monotonic() - began < 10


def test_tasks_that_wait_for_one_another_are_found(sessions):
    async def program(p):
        await join(p.party.task)

    outcome = run(sessions, program)
    assert all(isinstance(error, Deadlock) and "wait for one another" in str(error) for error in outcome), outcome


def test_messages_that_nobody_receives(sessions):
    async def program(p):
        if p.party.rank == 1:
            p.party.send(2, b"x")

    outcome = run(sessions, program)
    assert isinstance(outcome[2], ProgramMismatch)
    assert "bob sent message 0 of" in str(outcome[2]) and "carol never received" in str(outcome[2])


def test_the_deadline(sessions):
    async def slow(p):
        await p.party.compute(time.sleep, 1.5)

    outcome = run(sessions, [slow, squares, squares], deadlines=(20.0, 0.3, 20.0))
    assert all(isinstance(error, PartyError) for error in outcome)
    assert any("deadline has passed while bob waited for alice" in str(error) for error in outcome)


def test_cancel(sessions):
    started = threading.Barrier(4)

    async def program(p):
        started.wait(10)
        await p.party.recv((p.party.rank + 1) % 3, bytes)

    def cancel():
        started.wait(10)
        sessions[0].cancel(b"1")

    outcome, _ = at_once(lambda: run(sessions, program), cancel)
    assert "the run was cancelled" in str(outcome[0])
    assert all(isinstance(error, PartyError) and error.party == "alice" for error in outcome)


JUNK = {"no message": b"argot control 1\0junk", "half of one": b"argot control 1\0\x93\x01", "random": os.urandom(40)}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_junk_ends_the_run_with_a_name(junk):
    wires = Wires(lambda a, b, data: junk if (a, b) == ("alice", "bob") and len(data) > 100 else data)
    made = [Session(wires.link(n), n, NAMES, DEVICE, k) for n, k in zip(NAMES, keys_of(Wires()), strict=True)]

    async def program(p):
        x = words(10)
        p.party.send((p.party.rank + 1) % 3, x)
        await p.party.recv((p.party.rank - 1) % 3, x)

    outcome = run(made, program)
    assert isinstance(outcome[1], FrameError)
    for session in made:
        session.close()
