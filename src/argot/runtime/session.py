"""Drives one party over a link: agreement on keys and run ids, packets, kernels, failures.

**Keys.** `agree_keys` runs once per device and incarnation of its agents. For each subset of members that is
entitled to common randomness (each pair, and all together) every member of the subset contributes 32 bytes from its
operating system, sent to the other members of that subset over their own authenticated links. The key is BLAKE3 in
derive-key mode of the device id, the sorted names of the subset and the contributions in that order, so one honest
contribution makes it fresh, and nobody outside the subset, the driver included, has seen them all. Members confirm
a digest of each key. Keys stay in memory.

**Run ids.** Each execution of a node begins with an exchange between the agents: the node's hash and 16 fresh bytes of
each. Different hashes end the run at every party, naming both. The run id is BLAKE3 of the session, the hash and
the named contributions in order.

*An agent never starts a run id twice, also after a restart, without keeping a record:* the run id is a hash over the 16
bytes it drew itself, from its operating system, for this call. To meet an id it has started before, it would have to
draw the same bytes again (probability 2^-128 per pair of runs), whatever the other agents and the driver send; a
replayed contribution of others is harmless, because the draws depend on all contributions. A restarted agent moreover
has new subset keys, and the link never resumes an old incarnation. Nothing on disk could be rolled back.

**Driving.** One thread a run: advance the party, send one packet per peer, wait for any packet. Packets leave early
when more than a mebibyte waits for a peer, when a message has waited for half a millisecond, or before a kernel that
is expected to take a millisecond; such kernels run in worker threads. docs/concepts/scheduler.md has the rules. The
run's thread never waits for a peer to take what was sent: where the link has no room for a packet, a thread sends it
and all that follows, and the run goes on taking what arrives. (Otherwise three parties with a full window each could
wait for one another in a circle.) While more than 4 MiB wait in such a thread, tasks rest: a party that only sends, as
ABY3's products have one, would run ahead by all that the program sends, and keep it. Nor may it fill the memory of who
receives: of a peer of whom 4 MiB wait to be used, and for whom no task waits, packets stay in the link, and fill its
window.

**Ending.** A party that has finished says so and waits until all have; a message that is left then means that the
parties ran different programs. A party that fails tells the others its error's code (never its message) and they
end with an error that names it. A member that the link declares lost ends the run with `PartyLost`. When nothing
arrives for two seconds the parties compare how many packets they have sent and received: if all wait and nothing is
under way, the run can never end and all report who waits for what (`Deadlock`).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from queue import SimpleQueue
from time import monotonic, perf_counter
from typing import Any, Protocol, TypeVar

import msgspec

from .._core import prf
from ..errors import (
    ArgotError,
    Deadlock,
    FrameError,
    InputError,
    InputRefused,
    PartyError,
    PartyLost,
    ProgramError,
    ProgramMismatch,
    by_code,
)
from .kept import LinkKept
from .link import Link as Network
from .meter import Record, Span
from .party import Job, Packet, Party, check_leftovers

T = TypeVar("T")

_CONTROL = b"argot control 1\0"  # in the place of a path digest; a digest equals it with probability 2^-128
_IDLE_SECONDS = 2.0
_FLUSH_BYTES = 1 << 20
_AHEAD_BYTES = 4 << 20  # a party with more than this on its way to a peer that has no room goes no further
_HELD_SECONDS = 0.02  # after which a party that hears nothing takes a packet of a peer that it holds back
_PATIENCE = 0.0005  # a party that waits for nobody would otherwise keep the others waiting until it has finished
_COMPUTE_NS = 1_000_000


class Inbox(Protocol):
    """What arrives for one session of a link."""

    def take(self, timeout: float | None, held: Sequence[str] = ()) -> list[tuple[str, Packet | None]]: ...
    def take_one(self, peer: str) -> list[tuple[str, Packet | None]]: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class Link(Protocol):
    """What is used of `argot._core.link.Link`."""

    def send(self, peer: str, session: bytes, parts: list[Any]) -> None: ...
    def room(self, peer: str, session: bytes) -> bool: ...
    def open(self, session: bytes, peers: set[str] | None = None) -> Inbox: ...


class _Offer(msgspec.Struct, frozen=True, tag=True):
    """Key agreement: contributions to each subset that holds both, by bitmap of ranks."""

    members: list[str]
    contributions: dict[int, bytes]


class _Confirm(msgspec.Struct, frozen=True, tag=True):
    """Key agreement: a digest of each key that both hold."""

    digests: dict[int, bytes]


class _Hello(msgspec.Struct, frozen=True, tag=True):
    """Begins a run: the node's hash and this agent's part of the run id."""

    node: bytes
    contribution: bytes


class _Status(msgspec.Struct, frozen=True, tag=True):
    """Of a party with nothing to do: packets sent and received by rank, and what it waits for."""

    sent: list[int]
    received: list[int]
    waits: str


class _End(msgspec.Struct, frozen=True, tag=True):
    """The party has finished; `run` is a digest of its run id, `rounds` its longest chain of messages."""

    run: bytes
    rounds: int


class _Abort(msgspec.Struct, frozen=True, tag=True):
    """The party has failed with an error of this code; `party` names a lost one, `public` holds hashes and paths."""

    code: str
    party: str | None = None
    public: str | None = None


_Message = _Offer | _Confirm | _Hello | _Status | _End | _Abort
_decode = msgspec.msgpack.Decoder(_Message).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Meter:
    """What a run cost at this party.

    Attributes:
        rounds: the longest chain of dependent messages, of all parties (those of the record are this party's).
        seconds: from the first message of the agreement to the last party's end; `waiting` of them idle.
        sent_bytes: payload sent; `wire_bytes` with headers and padding, before TLS.
        ahead_bytes: sent since the session's last run on the channels of what outlives runs, such as correlations.
        messages, packets: sent. Packets depend on the timing, messages do not.
        record: calls, rounds, bytes and seconds by path of operations.
        spans: when equations of a program began and ended.
    """

    rounds: int
    seconds: float
    waiting: float
    sent_bytes: int
    ahead_bytes: int
    wire_bytes: int
    messages: int
    packets: int
    record: Record
    spans: tuple[Span, ...] = ()


# --------------------------------------------------------------------------------------------------------- keys


def agree_keys(
    link: Link,
    me: str,
    members: Sequence[str],
    device_id: bytes,
    subsets: Iterable[Collection[int]] | None = None,
    *,
    timeout: float = 30.0,
) -> dict[frozenset[int], bytes]:
    """Agree on the keys of a device with its other members, which call this at about the same time.

    Args:
        link: connected to every other member.
        me: this party's name.
        members: all names in the order of ranks, the same at every member.
        device_id: names the device; the same at every member, never used for another call.
        subsets: of ranks; by default every pair and all together. This party's own key is always added.
        timeout: seconds to wait for the others.

    Returns: 32 bytes for each subset that holds this party.

    Raises:
        ProgramMismatch: the members disagree about the device.
        PartyLost: a member is gone or did not answer in time.
    """
    rank, n = members.index(me), len(members)
    wanted = [frozenset(s) for s in subsets] if subsets is not None else _pairs_and_all(n)
    mine = {_bitmap(s): os.urandom(32) for s in wanted if rank in s}
    session = prf.derive_key("argot 2026-11 link session of key agreement", device_id + _names(members))[:16]
    inbox = link.open(session, set(members) - {me})
    try:
        asked = _Exchange(link, inbox, me, members, session, monotonic() + timeout)
        offers = asked.all(
            lambda peer: _Offer(list(members), {m: part for m, part in mine.items() if m >> peer & 1}), _Offer
        )
        keys = {}
        for subset in (s for s in wanted if rank in s):
            parts = {members[rank]: mine[_bitmap(subset)]}
            for peer in sorted(subset - {rank}):
                parts[members[peer]] = _contribution(offers[peer], list(members), _bitmap(subset), members[peer])
            keys[subset] = _subset_key(device_id, parts)
        digests = {_bitmap(s): prf.derive_key("argot 2026-11 key confirmation", key) for s, key in keys.items()}
        confirmed = asked.all(lambda peer: _Confirm({m: d for m, d in digests.items() if m >> peer & 1}), _Confirm)
        for peer, theirs in confirmed.items():
            if theirs.digests != {m: d for m, d in digests.items() if m >> peer & 1}:
                raise ProgramMismatch(
                    f"{me} and {members[peer]} arrived at different keys", party=members[peer], todo="start again"
                )
    except BaseException as error:
        for name in members:
            if name != me:
                with suppress(PartyLost):
                    _send(link, name, session, [_CONTROL + _encode(_aborting(error))])
        raise
    finally:
        inbox.close()
    return keys | {frozenset({rank}): os.urandom(32)}


def _pairs_and_all(n: int) -> list[frozenset[int]]:
    pairs = [frozenset(pair) for pair in combinations(range(n), 2)]
    return pairs if n <= 2 else [*pairs, frozenset(range(n))]


def _bitmap(subset: Collection[int]) -> int:
    return sum(1 << rank for rank in subset)


def _names(names: Iterable[str]) -> bytes:
    """An injective encoding of a list of names."""
    encoded = [name.encode() for name in names]
    return b"".join(len(name).to_bytes(4, "little") + name for name in encoded)


def _contribution(offer: _Offer, members: list[str], bitmap: int, peer: str) -> bytes:
    part = offer.contributions.get(bitmap, b"")
    if offer.members != members or len(part) != 32:
        raise ProgramMismatch(
            f"{peer} has a device of {', '.join(offer.members)}",
            wanted=f"a device of {', '.join(members)} with the same subsets",
            party=peer,
        )
    return part


def _subset_key(device_id: bytes, parts: Mapping[str, bytes]) -> bytes:
    names = sorted(parts)
    material = len(device_id).to_bytes(4, "little") + device_id + _names(names) + b"".join(parts[m] for m in names)
    key: bytes = prf.derive_key("argot 2026-11 key of a subset of a device's members", material)
    return key


class _Exchange:
    """Rounds in which every member sends one message to every other."""

    def __init__(self, link: Link, inbox: Inbox, me: str, members: Sequence[str], session: bytes, until: float):
        self.link, self.inbox, self.me, self.members = link, inbox, me, members
        self.session, self.until = session, until
        self.early: dict[int, deque[Any]] = {rank: deque() for rank, name in enumerate(members) if name != me}

    def all(self, message: Callable[[int], Any], kind: type[T]) -> dict[int, T]:
        """Send `message(rank)` to all, return what came from each."""
        for rank in self.early:
            _send(self.link, self.members[rank], self.session, [_CONTROL + _encode(message(rank))])
        while not all(self.early.values()):
            arrived = self.inbox.take(max(0.0, self.until - monotonic()))
            for name, data in arrived:
                if data is None and name in self.members:
                    raise PartyLost(f"{name} is gone", party=name)
                if data is not None and name in self.members:
                    self.early[self.members.index(name)].append(_checked(data, name))
            if not arrived and monotonic() >= self.until:
                silent = [self.members[rank] for rank, queue in self.early.items() if not queue]
                raise PartyLost(f"{', '.join(silent)} did not answer", party=silent[0])
        messages = {rank: queue.popleft() for rank, queue in self.early.items()}
        for rank, found in messages.items():
            if not isinstance(found, kind):
                raise FrameError(f"{self.members[rank]} sent a message out of turn", party=self.members[rank])
        return messages


def _checked(data: Packet, peer: str) -> _Message:
    """The control message in `data`. Raises what an `_Abort` stands for, FrameError if there is none."""
    try:
        message = _decode(memoryview(data)[16:]) if data[:16] == _CONTROL else None
    except msgspec.MsgspecError as error:
        raise FrameError(f"a control message of {peer} is none: {error}", party=peer) from None
    if isinstance(message, _Abort):
        raise _others_error(peer, message)
    if message is None:
        raise FrameError(f"{peer} sent something else than a control message", party=peer)
    return message


def _send(link: Link, peer: str, session: bytes, parts: list[Any]) -> None:
    try:
        link.send(peer, session, parts)
    except OSError as error:
        raise PartyLost(f"{peer} is gone: {error}", party=peer) from None


def _aborting(error: BaseException, public: str | None = None) -> _Abort:
    code = error.code if isinstance(error, ArgotError) else "PartyError"
    return _Abort(code, error.party if isinstance(error, PartyLost) else None, public)


# ------------------------------------------------------------------------------------------------------ sessions


class Session:
    """One device at one agent: who takes part, and the keys they share.

    Args:
        link: of this agent.
        me: this party's name.
        members: all names in the order of ranks.
        session_id: names the device, the same at every member.
        keys: from `agree_keys`.
        workers: threads for heavy kernels.
        debug: the checks of `Party`.
        directory: for what the members keep for later devices; nothing is kept without one.

    `network` is what is known of the connections between members; whoever opens the device sets it, the same at all.
    """

    def __init__(
        self,
        link: Link,
        me: str,
        members: Sequence[str],
        session_id: bytes,
        keys: Mapping[frozenset[int], bytes],
        *,
        workers: int = 2,
        debug: bool = False,
        directory: Path | None = None,
    ) -> None:
        self.link, self.me, self.members = link, me, tuple(members)
        self.rank, self.n = self.members.index(me), len(members)
        self.session_id, self.keys, self.debug = session_id, dict(keys), debug
        self.network: Network | None = None
        self.kept = LinkKept(link, self.members, self.rank, session_id, self.keys, directory)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="kernel")
        self._lock = threading.Lock()
        self._running: dict[bytes, _Run] = {}
        self._started: set[bytes] = set()

    def run(
        self,
        fn: Callable[[Party], Coroutine[Any, Any, Any]],
        *,
        node: bytes,
        label: bytes,
        deadline: float | None = None,
    ) -> tuple[Any, Meter]:
        """Run `fn(party)` in step with the other members; blocks this thread. Several runs may go on in threads.

        Args:
            fn: makes the coroutine of this party.
            node: hash of what is run; all members must have the same.
            label: names this execution, the same at every member and different for every execution, also of one node.
            deadline: seconds after which the run fails.

        Returns: what the coroutine returned, and what it cost.

        Raises:
            ProgramMismatch: another member was given another node (both hashes are named), or spawned differently.
            PartyLost: a member is gone.
            Deadlock: all wait for each other.
            PartyError: another party failed, the deadline has passed, or the run was cancelled.
            whatever `fn` raised here.
        """
        run = _Run(self, label, None if deadline is None else monotonic() + deadline)
        with self._lock:
            if label in self._started:
                raise ProgramError(f"execution {label.hex()} was started before", wanted="a fresh label")
            self._started.add(label)
            self._running[label] = run
        try:
            return run.whole(fn, node)
        finally:
            with self._lock:
                del self._running[label]

    def cancel(self, label: bytes | None = None) -> None:
        """End one run, or all; they raise `PartyError` here and at the other members."""
        with self._lock:
            runs = [run for name, run in self._running.items() if label in (None, name)]
        for run in runs:
            run.cancelled = True
            run.inbox.wake()

    def close(self) -> None:
        """Cancel all runs, end what is kept between them, and let the worker threads go."""
        self.cancel()
        self.kept.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Sender(threading.Thread):
    """Sends to one peer, in order, while the run goes on."""

    def __init__(
        self,
        link: Link,
        peer: str,
        address: bytes,
        sent: Callable[[], None],
        failed: Callable[[Exception], None],
    ):
        super().__init__(name=f"send to {peer}", daemon=True)
        self._link, self._peer, self._address = link, peer, address
        self._tell_sent, self._tell_failed = sent, failed
        self._queue: SimpleQueue[tuple[list[Any], int] | None] = SimpleQueue()
        self._put = self._sent = 0  # bytes; each is written by one thread only
        self.start()

    def send(self, parts: list[Any]) -> None:
        """Queue a packet."""
        size = sum(map(len, parts))
        self._put += size
        self._queue.put((parts, size))

    def end(self) -> None:
        """End the thread when all is sent."""
        self._queue.put(None)

    @property
    def waiting(self) -> int:
        """Bytes that are not sent."""
        return self._put - self._sent

    def run(self) -> None:
        while (packet := self._queue.get()) is not None:
            parts, size = packet
            del packet
            try:
                _send(self._link, self._peer, self._address, parts)
            except Exception as error:  # of any kind: whoever rests until this is sent must hear of it
                self._tell_failed(error)
                return
            del parts  # not to be kept until the next one comes
            self._sent += size
            self._tell_sent()


class _Run:
    """One execution at one party."""

    def __init__(self, session: Session, label: bytes, until: float | None):
        self.session, self.until = session, until
        self.link, self.rank, self.n, self.members = session.link, session.rank, session.n, session.members
        self.others = [rank for rank in range(self.n) if rank != self.rank]
        self.ranks = {name: rank for rank, name in enumerate(self.members) if rank != self.rank}
        material = len(session.session_id).to_bytes(4, "little") + session.session_id + label
        self.address: bytes = prf.derive_key("argot 2026-11 link session of a run", material)[:16]
        self.inbox = self.link.open(self.address, set(self.ranks))
        self.cancelled = False
        self.party: Party | None = None
        self.hellos: dict[int, _Hello] = {}
        self.early: list[tuple[int, Packet]] = []  # packets of peers that began before all hellos were here
        self.ended: dict[int, _End] = {}
        self.statuses: dict[int, _Status] = {}
        self.told: _Status | None = None  # the last status sent
        self.public: str | None = None  # of the error that ends the run here, what the others may read
        self.done: deque[Job] = deque()  # kernels that have run
        self.sent, self.received = [0] * self.n, [0] * self.n  # packets
        self.senders: dict[int, _Sender] = {}  # of peers that had no room at some time
        self.resting = False  # until senders have sent
        self.lost: list[Exception] = []  # why senders ended
        self.wire_bytes = 0
        self.waiting = 0.0

    def whole(self, fn: Callable[[Party], Coroutine[Any, Any, Any]], node: bytes) -> tuple[Any, Meter]:
        """Agree, drive, end; tell the others of a failure. The clock runs from when all are there."""
        try:
            run_id = self._agree(node)
            began, self.waiting = perf_counter(), 0.0
            party = self.party = self._make_party(run_id)
            party.start(fn(party))
            self._drive(party)
            self._end(party, run_id)
            result = party.result()
        except BaseException as error:
            self._abort(error)
            raise
        finally:
            for sender in self.senders.values():
                sender.end()
            self.senders.clear()
            if self.party is not None:
                self.party.close()
            self.inbox.close()
        record = party.record
        meter = Meter(
            rounds=max([party.rounds, *(end.rounds for end in self.ended.values())]),
            seconds=perf_counter() - began,
            waiting=self.waiting,
            sent_bytes=record.total("bits") // 8,
            ahead_bytes=self.session.kept.sent(),
            wire_bytes=self.wire_bytes,
            messages=record.total("messages"),
            packets=sum(self.sent),
            record=record,
            spans=tuple(party.spans),
        )
        return result, meter

    # ------------------------------------------------------------------------------------------------- phases

    def _agree(self, node: bytes) -> bytes:
        mine = _Hello(node, os.urandom(16))
        self._tell(mine)
        while len(self.hellos) < len(self.others):
            self._take(None)
        for rank, hello in sorted(self.hellos.items()):
            if hello.node != node:
                self.public = (
                    f"{self.members[self.rank]} was given node {node.hex()}, "
                    f"{self.members[rank]} was given node {hello.node.hex()}"
                )
                raise ProgramMismatch(
                    self.public,
                    wanted="the same program, inputs and recipients at every agent",
                    party=self.members[rank],
                )
            if len(hello.contribution) != 16:
                raise FrameError(f"{self.members[rank]} contributed {len(hello.contribution)} bytes", wanted="16 bytes")
        parts = {self.members[rank]: hello.contribution for rank, hello in self.hellos.items()}
        parts[self.members[self.rank]] = mine.contribution
        return _run_id(self.session.session_id, node, parts)

    def _make_party(self, run_id: bytes) -> Party:
        party = Party(
            self.rank,
            self.n,
            self.session.keys,
            run_id,
            flush=self._send_packet,
            flush_bytes=_FLUSH_BYTES,
            patience=_PATIENCE,
            compute_ns=_COMPUTE_NS,
            debug=self.session.debug,
            kept=self.session.kept,
        )
        party.on_settled = self._worked
        return party

    def _drive(self, party: Party) -> None:
        for rank, packet in self.early:
            party.deliver(rank, packet)
        self.early.clear()
        while True:
            for peer, parts in party.advance().items():
                self._send_packet(peer, parts)
            if party.finished:
                return
            if party.jobs:
                self._work(party)
            if not party.ready:
                self._take(party)
            self._rest(party)

    def _rest(self, party: Party) -> None:
        """Let the peers catch up. This party goes on taking what they send, so that none waits for it in turn."""
        self.resting = True  # before the look at what waits: whatever is sent after that wakes this thread
        while any(sender.waiting > _AHEAD_BYTES for sender in self.senders.values()):
            self._take(party)
        self.resting = False

    def _work(self, party: Party) -> None:
        """Hand kernels to threads; one that nothing else could overlap runs here."""
        jobs, party.jobs = party.jobs, []
        if party.running == 1 and not party.ready and not party.waiting:
            party.complete(jobs[0].run())
            return
        for job in jobs:
            self.session._pool.submit(job.run).add_done_callback(lambda future: self._worked(future.result()))

    def _worked(self, job: Job) -> None:
        self.done.append(job)
        self.inbox.wake()

    def _end(self, party: Party, run_id: bytes) -> None:
        if party.failure is not None:
            raise party.failure
        digest = prf.derive_key("argot 2026-11 run id confirmation", run_id)[:16]
        self._tell(_End(digest, party.rounds))
        while len(self.ended) < len(self.others):
            self._take(party)
        for rank, end in sorted(self.ended.items()):
            if end.run != digest:
                raise ProgramMismatch(f"{self.members[rank]} ran under another run id", party=self.members[rank])
        check_leftovers(party, self.members)

    # --------------------------------------------------------------------------------------------------- messages

    def _send_packet(self, rank: int, parts: list[Any]) -> None:
        self.sent[rank] += 1
        self.wire_bytes += sum(map(len, parts))
        self._post(rank, parts)

    def _post(self, rank: int, parts: list[Any]) -> None:
        sender = self.senders.get(rank)
        if (sender is None or not sender.waiting) and self.link.room(self.members[rank], self.address):
            return _send(self.link, self.members[rank], self.address, parts)
        if sender is None:
            peer = self.members[rank]
            sender = self.senders[rank] = _Sender(self.link, peer, self.address, self._has_sent, self._send_failed)
        sender.send(parts)
        if sender.waiting > _AHEAD_BYTES and self.party is not None:
            self.party.pause()  # and `_rest`

    def _has_sent(self) -> None:
        if self.resting:
            self.inbox.wake()

    def _send_failed(self, error: Exception) -> None:
        self.lost.append(error)
        self.inbox.wake()

    def _tell(self, message: _Message) -> None:
        data = _CONTROL + _encode(message)
        for rank in self.others:
            self._post(rank, [data])

    def _abort(self, error: BaseException) -> None:
        """Tell the others, as far as they can be reached, that this party failed: its error's code, what is public."""
        data = _CONTROL + _encode(_aborting(error, self.public))
        for rank in self.others:
            with suppress(PartyLost):
                self._post(rank, [data])

    def _take(self, party: Party | None) -> None:
        """Wait for something to happen and take all that has."""
        began = perf_counter()
        arrived = self._arrived(party)
        self.waiting += perf_counter() - began
        for name, data in arrived:
            rank = self.ranks.get(name)
            if rank is None:
                continue
            if data is None:
                if rank not in self.ended:
                    raise PartyLost(f"{name} is gone", party=name)
            elif data[:16] == _CONTROL:
                self._control(rank, data)
            elif party is None:
                self.early.append((rank, data))
                self.received[rank] += 1
            else:
                self.received[rank] += 1
                party.deliver(rank, data)
        while self.done:
            job = self.done.popleft()
            job.party.complete(job)
        if self.lost:
            raise self.lost[0]
        if self.cancelled:
            raise PartyError("the run was cancelled", party=self.members[self.rank])
        if not arrived:
            self._nothing_came(party)

    def _arrived(self, party: Party | None) -> list[tuple[str, Packet | None]]:
        """Wait for messages, and leave in the link what comes from peers that are far ahead: they go no further then.

        That may be wrong: such a peer rests altogether, and the one that this party waits for may wait for it. So if
        nothing happens for a moment, one of its packets is taken.
        """
        if party is None or not (ahead := party.ahead(_AHEAD_BYTES)):
            return self.inbox.take(self._patience())
        held = [self.members[peer] for peer in ahead]
        arrived = self.inbox.take(min(self._patience(), _HELD_SECONDS), held)
        if not arrived and not self.done and not party.running:
            arrived = [taken for peer in held for taken in self.inbox.take_one(peer)]
        return arrived

    def _patience(self) -> float:
        if self.until is None:
            return _IDLE_SECONDS
        return max(0.0, min(_IDLE_SECONDS, self.until - monotonic()))

    def _control(self, rank: int, data: Packet) -> None:
        name = self.members[rank]
        message = _checked(data, name)
        match message:
            case _Hello() if rank not in self.hellos:
                self.hellos[rank] = message
            case _End() if rank not in self.ended:
                self.ended[rank] = message
            case _Status():
                self.statuses[rank] = message
                self._check_progress()
            case _:
                raise FrameError(f"{name} sent {type(message).__name__.strip('_')} out of turn", party=name)

    # --------------------------------------------------------------------------------------------------- stalls

    def _nothing_came(self, party: Party | None) -> None:
        if self.until is not None and monotonic() >= self.until:
            silent = self._silent(party)
            raise PartyError(
                f"the deadline has passed while {self.members[self.rank]} waited for {', '.join(silent) or 'itself'}",
                party=silent[0] if silent else self.members[self.rank],
            )
        self.told = None
        self._check_progress()

    def _silent(self, party: Party | None) -> list[str]:
        if party is None:
            return [self.members[rank] for rank in self.others if rank not in self.hellos]
        if party.finished:
            return [self.members[rank] for rank in self.others if rank not in self.ended]
        return [self.members[rank] for rank in sorted({rank for rank, _ in party.waits()})]

    def _status(self, party: Party) -> _Status:
        me = self.members[self.rank]
        waits = [f"{me} waits for {what} from {self.members[r]}, which nobody sent" for r, what in party.waits()]
        if not waits and not party.finished:
            waits = [f"tasks of {me} wait for one another"]
        return _Status(list(self.sent), list(self.received), "; ".join(waits[:3]))

    def _check_progress(self) -> None:
        """Whether all parties wait and no packet is under way: then none will ever move again.

        Each status was sent by a party that had nothing to do. Were one of them woken later, the first to be woken had
        a message under way to it when its status left, and the two counts of that pair differ.
        """
        party = self.party
        if party is None or party.running or party.ready:
            return
        mine = self._status(party)
        if mine != self.told:
            self.told = mine
            for rank in self.others:
                if rank not in self.ended:  # it may be gone, and rightly so
                    self._post(rank, [_CONTROL + _encode(mine)])
        if len(self.statuses) < len(self.others):
            return
        every = self.statuses | {self.rank: mine}
        under_way = any(
            every[i].sent[j : j + 1] != every[j].received[i : i + 1] for i in every for j in every if i != j
        )
        waits = "; ".join(status.waits for _, status in sorted(every.items()) if status.waits)
        if under_way or not waits:
            return
        self.public = waits
        raise Deadlock(waits, wanted="parties that spawn, send and receive alike")


def _run_id(session_id: bytes, node: bytes, contributions: Mapping[str, bytes]) -> bytes:
    names = sorted(contributions)
    material = b"".join(len(part).to_bytes(4, "little") + part for part in (session_id, node)) + _names(names)
    run_id: bytes = prf.derive_key("argot 2026-11 run id", material + b"".join(contributions[m] for m in names))
    return run_id


def _others_error(name: str, abort: _Abort) -> ArgotError:
    """The error here for a failure at another party."""
    cls = by_code(abort.code)
    what = f"{name} ended the run with {abort.code}" + (f": {abort.public[:2000]}" if abort.public else "")
    if issubclass(cls, PartyLost):
        lost = abort.party or name
        return PartyLost(f"{lost} is gone, says {name}", party=lost)
    if issubclass(cls, InputError):
        return InputRefused(f"{name} refused an input", party=name)
    return (cls if issubclass(cls, ProgramError) else PartyError)(what, party=name)
