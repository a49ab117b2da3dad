"""All parties of a protocol in one process, for tests of protocols only. Nothing here is secret.

    world = World(Aby3, n=3, seed=7)
    async def program(p, x):
        share = await p.share(x, owner=0, shape=(4,))
        return await p.reveal_to(share, [0, 1, 2])
    results = world.run(program, [x, None, None])         # one list of arguments per parameter, one entry per party
    world.rounds, world.bits, world.traffic

**Lock step** (the default): all parties run until each waits, then all packets arrive, again and again. The number of
steps is the length of the longest chain of messages: the rounds.

**Randomised delivery** (`World(..., delivery=Delivery())`): parties run at different speeds, wake their tasks in any
order, flush at different sizes; packets are delayed, reordered and split, heavy kernels finish at any time. Results
and traffic per path must be those of lock step.

**Interceptors** (`World(..., intercept=drop(...))`) see every packet on its way and return the packets that arrive.

Keys derive from the seed, a fresh run id is used for each run; every run is repeatable. A name drawn twice, in one
run or over all runs, a draw that a member of its subset does not make, an array changed after it was sent and a
message that nobody receives are errors.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from struct import unpack_from
from typing import Any

from .._core import prf
from ..errors import Deadlock, ProgramError, ProgramMismatch
from .kept import Keepsake, Kept, channel_key
from .meter import Record
from .party import Job, Party, check_leftovers
from .scheduler import readable

Intercept = Callable[[int, int, bytes], Sequence[bytes]]
Program = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Delivery:
    """How badly the network and the machines behave. Everything is drawn from the world's seed."""

    delay: int = 20  # ticks a packet takes, at most
    split: float = 0.3  # probability that a packet is cut between two messages
    speeds: tuple[float, ...] = (1.0, 0.5, 0.1)  # probability that a party acts in a tick
    flush_bytes: tuple[int, ...] = (1 << 20, 1024, 1)  # of each party
    patience: tuple[float | None, ...] = (None, 0.0)  # of each party, in seconds; others would not replay
    compute_ns: tuple[int | None, ...] = (None, 0, 100_000)  # of each party
    workers: tuple[int, ...] = (1, 2, 4)  # kernels at a time at each party


class World:
    """Runs programs over all parties.

    Args:
        factory: makes the protocol object of one party from its `Party`.
        n: number of parties.
        seed: of all keys and of the delivery.
        delivery: None for lock step.
        intercept: called with (sender, receiver, packet); returns the packets that arrive instead.
        debug: whether parties check names of messages and draws, and that nothing changes once it is sent.

    Attributes:
        protocols: the protocol objects of the last run.
        rounds, bits, messages: of the last run; bits are payload over all parties.
        packets: of the last run; they depend on the delivery, the other figures do not.
        traffic (if `debug`): {(sender, receiver, path): (messages, bits)} of the last run.
        record: the last run's record by operations, parties merged.
        sent: payload bytes that each party sent in the last run.
        heads (if `debug`): {(sender, receiver, name of 20 bytes): bytes before the payload proper}, of all runs.
    """

    def __init__(
        self,
        factory: Callable[[Party], Any],
        n: int = 3,
        *,
        seed: int = 0,
        delivery: Delivery | None = None,
        intercept: Intercept | None = None,
        debug: bool = True,
    ) -> None:
        self.factory, self.n, self.seed, self.debug = factory, n, seed, debug
        self.delivery, self.intercept = delivery, intercept
        self.random = random.Random(seed)
        self.keys = _keys(n, seed)
        self._runs = 0
        self._drawn: dict[bytes, tuple[int, bytes]] = {}  # key -> run and name, over all runs
        self.rounds = self.bits = self.messages = self.packets = 0
        self.traffic: dict[tuple[int, int, str], tuple[int, int]] = {}
        self.record = Record()
        self.sent = [0] * n
        self.heads: dict[tuple[int, int, bytes], int] = {}
        self.protocols = _Run(self, []).protocols

    def run(self, fn: Program, *per_party: Sequence[Any], **same: Any) -> list[Any]:
        """Run `fn(protocol, ...)` at all parties and return what each returned.

        Args:
            fn: an async function.
            per_party: for each further parameter of `fn` a sequence with one entry per party.
            same: keyword arguments that are the same at all parties.

        Raises:
            Deadlock: all wait for messages that nobody sent; says who waits for what.
            ProgramMismatch: messages were left that nobody received, or draws that only some made.
            whatever `fn` raised at the first party that raised.
        """
        for values in per_party:
            if len(values) != self.n:
                raise ProgramError(f"{len(values)} arguments for {self.n} parties", wanted="one entry per party")
        programs = [lambda p, i=i: fn(p, *(values[i] for values in per_party), **same) for i in range(self.n)]
        return self.run_all([programs])[0]

    def run_all(
        self, jobs: Sequence[Sequence[Program]], orders: Sequence[Sequence[int]] | None = None
    ) -> list[list[Any]]:
        """Run several programs at a time, as a device does with several nodes.

        Args:
            jobs: for each program a function of the protocol for each party.
            orders: for each party the order in which the programs reach it; in lock step all start at once.

        Returns: for each program what each party returned.
        """
        runs = [_Run(self, programs) for programs in jobs]
        self.packets = 0
        try:
            if self.delivery is None:
                self._lock_step(runs)
            else:
                self._randomised(runs, orders or [range(len(runs))] * self.n)
            for failure in (party.failure for run in runs for party in run.parties if party.failure is not None):
                raise failure
            results = [run.results() for run in runs]
        finally:
            for run in runs:
                run.close()
        self._count(runs)
        return results

    # ------------------------------------------------------------------------------------------------ driving

    def _lock_step(self, runs: list[_Run]) -> None:
        self.rounds = 0
        for run in runs:
            run.start(range(self.n))
        while True:
            packets = [packet for run in runs for packet in run.advance()]
            if any(run.failed for run in runs) or not packets:
                return
            self.rounds += 1
            for run, sender, receiver, packet in packets:
                for arriving in self._intercepted(sender, receiver, packet):
                    run.parties[receiver].deliver(sender, arriving)

    def _randomised(self, runs: list[_Run], orders: Sequence[Sequence[int]]) -> None:
        """Ticks: packets arrive when their time has come, parties act now and then."""
        assert self.delivery is not None
        behaviour, rng = self.delivery, self.random
        flying: list[tuple[int, _Run, int, int, bytes]] = []
        to_start = [list(order) for order in orders]
        tick = 0
        while True:
            tick += 1
            arriving = [packet for packet in flying if packet[0] <= tick]
            flying = [packet for packet in flying if packet[0] > tick]
            rng.shuffle(arriving)
            for _, run, sender, receiver, packet in arriving:
                run.parties[receiver].deliver(sender, packet)
            acted = bool(arriving)
            for rank in rng.sample(range(self.n), self.n):
                if rng.random() > behaviour.speeds[rank % len(behaviour.speeds)]:
                    acted = acted or bool(to_start[rank]) or any(run.busy(rank) for run in runs)
                    continue
                if to_start[rank]:
                    acted = True
                    runs[to_start[rank].pop(0)].start([rank])
                for run in rng.sample(runs, len(runs)):
                    for sender, receiver, packet in run.act(rank, rng, behaviour):
                        acted = True
                        for arrival in self._intercepted(sender, receiver, packet):
                            for part in _split(arrival, rng, behaviour.split):
                                flying.append((tick + rng.randint(1, behaviour.delay), run, sender, receiver, part))
                    acted = acted or run.busy(rank)
            if any(run.failed for run in runs):
                return
            if not (acted or flying):
                self.rounds = max((party.rounds for run in runs for party in run.parties), default=0)
                return

    def _intercepted(self, sender: int, receiver: int, packet: bytes) -> Sequence[bytes]:
        self.packets += 1
        return [packet] if self.intercept is None else self.intercept(sender, receiver, packet)

    # ----------------------------------------------------------------------------------------------- checking

    def _party(self, rank: int, run: int) -> Party:
        behaviour = self.delivery
        run_id = prf.derive_key("argot test world: run id", f"{self.seed}/{run}".encode())
        party = Party(
            rank,
            self.n,
            {subset: key for subset, key in self.keys.items() if rank in subset},
            run_id,
            flush_bytes=1 << 60 if behaviour is None else behaviour.flush_bytes[rank % len(behaviour.flush_bytes)],
            patience=None if behaviour is None else behaviour.patience[rank % len(behaviour.patience)],
            compute_ns=None if behaviour is None else behaviour.compute_ns[rank % len(behaviour.compute_ns)],
            debug=self.debug,
            kept=_all_kept(self.n)[rank],
        )
        return party

    def _count(self, runs: list[_Run]) -> None:
        traffic: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0, 0])
        for number, run in enumerate(runs):
            for (sender, receiver, path, _), size in run.sent.items():
                title = readable(path) if len(runs) == 1 else f"{number}:{readable(path)}"
                entry = traffic[sender, receiver, title]
                entry[0] += 1
                entry[1] += 8 * size
            for name, key in run.draws:
                earlier = self._drawn.setdefault(key, (run.number, name))
                if earlier != (run.number, name):
                    raise ProgramError(f"runs {earlier[0]} and {run.number} drew the same key", wanted="fresh keys")
        self.traffic = {key: (messages, bits) for key, (messages, bits) in sorted(traffic.items())}
        self.sent = [sum(run.parties[rank].record.total("bits") for run in runs) // 8 for rank in range(self.n)]
        self.record = Record()
        for party in (party for run in runs for party in run.parties):
            self.record.merge(party.record)
        self.messages, self.bits = self.record.total("messages"), self.record.total("bits")


class _Run:
    """One run of one program at all parties of a world."""

    def __init__(self, world: World, programs: Sequence[Program]):
        self.number = world._runs
        world._runs += 1
        self.programs = programs
        self.parties = [world._party(rank, self.number) for rank in range(world.n)]
        self.protocols = [world.factory(party) for party in self.parties]
        self.sent: dict[tuple[int, int, bytes, int], int] = {}
        self.draws: dict[tuple[bytes, bytes], dict[int, frozenset[int]]] = defaultdict(dict)
        self.early: list[tuple[int, int, bytes]] = []
        self.started = [False] * world.n
        for rank, party in enumerate(self.parties):
            party.on_send = lambda peer, path, counter, size, rank=rank: self._note(rank, peer, path, counter, size)
            party.on_draw = lambda subset, name, key, rank=rank: self.draws[name, key].update({rank: subset})
            party.on_head = lambda peer, name, head, rank=rank: world.heads.update({(rank, peer, name): head})
            if world.delivery is not None:
                party.flush = lambda peer, parts, rank=rank: self.early.append((rank, peer, b"".join(parts)))

    def _note(self, sender: int, receiver: int, path: bytes, counter: int, size: int) -> None:
        if (sender, receiver, path, counter) in self.sent:
            raise ProgramError(f"party {sender} sent message {counter} of {readable(path)} twice")
        self.sent[sender, receiver, path, counter] = size

    def start(self, ranks: Sequence[int] | range) -> None:
        for rank in ranks:
            self.parties[rank].start(self.programs[rank](self.protocols[rank]))
            self.started[rank] = True

    @property
    def failed(self) -> bool:
        return any(party.failure is not None for party in self.parties)

    def busy(self, rank: int) -> bool:
        """Whether the party can act without a message."""
        return self.parties[rank].ready or bool(self.parties[rank].jobs)

    def advance(self) -> Iterator[tuple[_Run, int, int, bytes]]:
        """Lock step: what all parties send now."""
        for sender, party in enumerate(self.parties):
            for receiver, parts in party.advance().items():
                yield self, sender, receiver, b"".join(parts)

    def act(self, rank: int, rng: random.Random, behaviour: Delivery) -> Iterator[tuple[int, int, bytes]]:
        """Randomised: one party acts; what it sends."""
        party = self.parties[rank]
        if not self.started[rank] or party.failure is not None:
            return
        workers = behaviour.workers[rank % len(behaviour.workers)]
        for job in rng.sample(party.jobs, min(workers, len(party.jobs))):
            party.jobs.remove(job)
            _finish(job)
        ready = party._scheduler.ready
        shuffled = rng.sample(list(ready), len(ready))
        ready.clear()
        ready.extend(shuffled)
        packets = party.advance()
        yield from self.early
        self.early.clear()
        for receiver, parts in packets.items():
            yield rank, receiver, b"".join(parts)

    def results(self) -> list[Any]:
        """What the parties returned, after checking that they ended alike."""
        if not all(party.finished for party in self.parties):
            raise self._deadlock()
        who = [f"party {rank}" for rank in range(len(self.parties))]
        titles = [party.title for party in self.parties]
        for party in self.parties:
            check_leftovers(party, who, titles)
        for (name, _), drawn in self.draws.items():
            for rank, subset in drawn.items():
                for other in sorted(subset - drawn.keys()):
                    where = readable(name[:-13])
                    raise ProgramMismatch(
                        f"party {rank} drew a key with {sorted(subset)} in {where}, party {other} did not",
                        wanted="every member of a subset calls key or draw equally often in a task",
                    )
        return [party.result() for party in self.parties]

    def _deadlock(self) -> Deadlock:
        lost: list[str] = []
        never: list[str] = []
        for party in self.parties:
            for peer, what in party.waits():
                sent = self._was_sent(peer, party.rank, what)
                waits = f"party {party.rank} waits for {what} from party {peer}"
                (lost if sent else never).append(f"{waits}, which " + ("was lost" if sent else "nobody sent"))
        shown = (lost + never)[:6]
        more = len(lost + never) - len(shown)
        return Deadlock(
            "; ".join(shown or ["tasks wait for one another"]) + (f"; and {more} more" if more else ""),
            wanted="parties that spawn, send and receive alike",
        )

    def _was_sent(self, sender: int, receiver: int, what: str) -> bool:
        return any(
            (s, r, f"message {counter} of {readable(path)}") == (sender, receiver, what)
            for s, r, path, counter in self.sent
        )

    def close(self) -> None:
        for party in self.parties:
            party.close()


def _finish(job: Job) -> None:
    job.party.complete(job.run())


def _keys(n: int, seed: int) -> dict[frozenset[int], bytes]:
    """A key for every subset of parties, from the seed."""
    subsets = chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1))
    return {
        frozenset(subset): prf.derive_key("argot test world: subset key", f"{seed}/{subset}".encode())
        for subset in subsets
    }


def _split(packet: bytes, rng: random.Random, probability: float) -> list[bytes]:
    """The packet cut between messages, here and there; in any order, since every message has its name."""
    parts, start, offset = [], 0, 0
    while offset + 32 <= len(packet):
        (size,) = unpack_from("<Q", packet, offset + 24)
        offset += 32 + size + (-size % 8)
        if rng.random() < probability:
            parts.append(packet[start:offset])
            start = offset
    if start < len(packet):
        parts.append(packet[start:])
    rng.shuffle(parts)
    return parts


# --------------------------------------------------------------------------------------------- kept between runs

_threads = threading.local()


def _all_kept(n: int) -> list[_WorldKept]:
    """What n parties keep, by rank: the same in all worlds of a thread, as it takes a while to make."""
    worlds: dict[int, list[_WorldKept]] = _threads.__dict__.setdefault("kept", {})
    if n not in worlds:
        every: list[_WorldKept] = []
        mail: deque[tuple[int, int, type[Keepsake], bytes]] = deque()
        for rank in range(n):
            every.append(_WorldKept(rank, every, mail))
        worlds[n] = every
    return worlds[n]


def forget_kept() -> None:
    """Begin anew with what parties keep between runs: after a test in which they came to disagree on it."""
    _threads.__dict__.pop("kept", None)


class _WorldKept(Kept):
    """Channels without a network: a message is handled as soon as those before it have been."""

    def __init__(self, rank: int, every: list[_WorldKept], mail: deque[tuple[int, int, type[Keepsake], bytes]]) -> None:
        super().__init__()
        self.rank, self.every, self.mail = rank, every, mail
        self.delivering = False

    def _make(self, peer: int, kind: type[Keepsake]) -> Keepsake:
        return kind(_WorldChannel(self, peer, kind))

    def deliver(self) -> None:
        """Hand over all messages, and those that they cause."""
        first = self.every[0]
        if first.delivering:
            return
        first.delivering = True
        try:
            while self.mail:
                sender, receiver, kind, message = self.mail.popleft()
                keepsake = self.every[receiver].get(sender, kind)
                keepsake.handle(message)
                while keepsake.work():
                    pass
        finally:
            first.delivering = False


class _WorldChannel:
    ahead = False
    directory: Path | None = None

    def __init__(self, kept: _WorldKept, peer: int, kind: type[Keepsake]) -> None:
        self.kept, self.rank, self.peer, self.kind = kept, kept.rank, peer, kind
        pair = bytes(sorted((kept.rank, peer)))
        self.key = channel_key(prf.derive_key("argot test world: pair", pair), kind)

    def send(self, message: bytes) -> None:
        self.kept.mail.append((self.rank, self.peer, self.kind, message))
        self.kept.deliver()


# --------------------------------------------------------------------------------------------------- interceptors


def _nth(number: int, sender: int | None, receiver: int | None) -> Callable[[int, int], bool]:
    seen = Counter[bool]()

    def hit(s: int, r: int) -> bool:
        if sender not in (None, s) or receiver not in (None, r):
            return False
        seen[True] += 1
        return seen[True] == number + 1

    return hit


def drop(number: int = 0, *, sender: int | None = None, receiver: int | None = None) -> Intercept:
    """Lose the packet `number`, counting those from `sender` to `receiver`."""
    hit = _nth(number, sender, receiver)
    return lambda s, r, packet: [] if hit(s, r) else [packet]


def replay(number: int = 0, *, sender: int | None = None, receiver: int | None = None) -> Intercept:
    """Deliver one packet twice."""
    hit = _nth(number, sender, receiver)
    return lambda s, r, packet: [packet, packet] if hit(s, r) else [packet]


def truncate(number: int = 0, *, keep: int, sender: int | None = None, receiver: int | None = None) -> Intercept:
    """Deliver only the first `keep` bytes of one packet."""
    hit = _nth(number, sender, receiver)
    return lambda s, r, packet: [packet[:keep]] if hit(s, r) else [packet]


def corrupt(number: int = 0, *, at: int, sender: int | None = None, receiver: int | None = None) -> Intercept:
    """Flip all bits of byte `at` of one packet."""
    hit = _nth(number, sender, receiver)

    def flip(s: int, r: int, packet: bytes) -> list[bytes]:
        if not hit(s, r):
            return [packet]
        changed = bytearray(packet)
        changed[at] ^= 0xFF
        return [bytes(changed)]

    return flip
