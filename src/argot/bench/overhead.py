"""`argot bench overhead`: the engine's own cost, without arithmetic, in microseconds.

Claims: at most 25 microseconds of CPU of the engine per message and party, at most 30 per equation, and a chain of 100
dependent fixed-point multiplications (200 rounds) in 35 ms, so 175 microseconds a round with everything.

    chain        1,000 dependent multiplications of scalars, one message each
    wide         1,000 independent multiplications in one gather: tasks are spawned, messages share packets
    equations    1,000 equations in a window of 64; each joins two earlier ones, computes nothing and sends nothing
    program      1,000 equations of a program that has run before, additions and products of scalars in turn, by the
                 reference protocol, whose arithmetic is in the figure and whose messages are none
    draws        keys for random draws
    message      CPU per message and party with three processes over TLS on loopback: engine, encryption, system calls,
                 and polling while it waits
    round        wall time of a round of the same: each party sends to the one before and waits for the one after

The first five run all parties in this thread without the checks of the test world: the smallest of several runs some
time apart, as whatever else the machine does only adds to the CPU time of a run, divided by the messages (equations,
draws) of all parties. The last two are the median over runs of 200 rounds.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from time import process_time_ns, sleep
from typing import Any

import numpy as np

from .._core import link
from ..keys import Identity
from ..mpc.plain import Plain
from ..runtime import Party, cost, gather, join, spawn
from ..runtime.session import Session, agree_keys
from ..vm import machine
from ..vm.parser import parse
from ..vm.values import Secret

PARTIES = 3
NAMES = ("alice", "bob", "carol")
ROUNDS = 200
PAUSE = 0.3
"""Seconds between runs in one thread: a virtual machine is slowed down for a second or so at a time."""

LIMITS = {"chain": 25.0, "wide": 25.0, "equations": 30.0, "program": 30.0, "round": 175.0}


class Bare:
    """A protocol whose multiplication only moves data."""

    def __init__(self, party: Party) -> None:
        self.party = party

    @cost(rounds="1", bits="3*k")
    async def mul(self, x: Any, y: Any) -> Any:
        return await self.party.rotate(x)


async def chain(p: Bare, length: int) -> None:
    x = np.zeros((), np.uint64)
    for _ in range(length):
        x = await p.mul(x, x)


async def wide(p: Bare, width: int) -> None:
    x = np.zeros((), np.uint64)
    await gather(*(p.mul(x, x) for _ in range(width)))


async def equations(p: Bare, count: int) -> None:
    async def equation(left: Any, right: Any) -> None:
        if left is not None:
            await join(left)
            await join(right)

    tasks: list[Any] = []
    for i in range(count):
        tasks.append(await spawn(equation(*((tasks[i // 2], tasks[i - 1]) if i else (None, None))), limit=64))


async def draws(p: Bare, count: int) -> None:
    for _ in range(count):
        p.party.key(p.party.rank, (p.party.rank + 1) % PARTIES)


def program(count: int, repeats: int) -> float:
    """CPU nanoseconds of a program of so many equations."""
    lines = ['program "sums and products"(', '  %0: fixed[] secret "x"', ") {"]
    for i in range(1, count + 1):
        lines.append(f"  %{i}: fixed[] secret = {'add' if i % 2 else 'mul'}(%{i - 1}, %0)")
    made = parse("\n".join([*lines, f"  return %{count}", "}"]))
    plans: machine.Plans = {}
    spent = []
    for _ in range(repeats + 1):
        party = Party(0, 1, {}, bytes(32))
        protocol = Plain(party)
        value = Secret(protocol.public(protocol.constant(0, ())), made.parameters[0].type)
        party.start(machine.run(made, [value], protocol, protocol, plans=plans))
        began = process_time_ns()
        party.advance()
        spent.append(process_time_ns() - began)
    return statistics.median(spent[1:])


def run(program: Callable[[Bare], Coroutine[Any, Any, Any]]) -> float:
    """CPU nanoseconds of one run of all parties."""
    keys = {frozenset({i, (i + 1) % PARTIES}): bytes(32) for i in range(PARTIES)}
    parties = [Party(rank, PARTIES, keys, bytes(32)) for rank in range(PARTIES)]
    began = process_time_ns()
    for party in parties:
        party.start(program(Bare(party)))
    while not all(party.finished for party in parties):
        packets = [party.advance() for party in parties]
        for sender, sent in enumerate(packets):
            for receiver, parts in sent.items():
                parties[receiver].deliver(sender, b"".join(parts))
    return process_time_ns() - began


def bench(repeats: int = 7) -> dict[str, float]:
    """Microseconds by name, as the module describes them."""
    cases: dict[str, tuple[Callable[[Bare], Coroutine[Any, Any, Any]], int]] = {
        "chain": (lambda p: chain(p, 1000), 1000),
        "wide": (lambda p: wide(p, 1000), 1000),
        "equations": (lambda p: equations(p, 1000), 1000),
        "draws": (lambda p: draws(p, 1000), 1000),
    }
    found: dict[str, list[float]] = {name: [] for name in (*cases, "program")}
    for _ in range(repeats):
        for name, (made, count) in cases.items():
            found[name].append(run(made) / 1e3 / count / PARTIES)
        found["program"].append(program(1000, 3) / 1e3 / 1000)
        sleep(PAUSE)
    return {name: min(figures) for name, figures in found.items()} | over_tls(repeats)


def over_tls(repeats: int) -> dict[str, float]:
    """Microseconds of CPU per message and of time per round, three processes."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for name in NAMES:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=agent, args=(name, repeats, theirs), daemon=True))
        processes[-1].start()
        pipes.append(ours)
    peers = [pipe.recv() for pipe in pipes]
    for pipe in pipes:
        pipe.send(peers)
    measured = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join(30)
    cpu = statistics.median(figure for figures, _ in measured for figure in figures)
    return {"message": cpu / 1e3 / ROUNDS, "round": statistics.median(measured[0][1]) * 1e6 / ROUNDS}


def agent(name: str, repeats: int, pipe: Connection) -> None:
    """One party: connects, agrees on keys, runs chains; reports CPU nanoseconds and seconds of each."""
    identity = Identity.generate(name)
    with link.Link(name, identity.certificate, identity.key, "127.0.0.1:0") as mine:
        pipe.send((name, identity.spki_sha256, mine.address))
        for peer, pin, address in pipe.recv():
            if peer != name:
                mine.add_peer(peer, pin, address)
        session = Session(mine, name, NAMES, b"overhead", agree_keys(mine, name, NAMES, b"overhead"))
        cpu, seconds = [], []
        for i in range(repeats + 2):
            began = process_time_ns()
            _, meter = session.run(lambda party: chain(Bare(party), ROUNDS), node=bytes(32), label=bytes([i]))
            cpu.append(process_time_ns() - began)
            seconds.append(meter.seconds)
        pipe.send((cpu[2:], seconds[2:]))
        session.close()
