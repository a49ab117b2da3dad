"""One party of a protocol: what it sends, receives, draws and computes goes through here.

`Party` has no sockets. `advance` runs all tasks until each waits and hands out one packet per peer; `deliver` takes
a packet of a peer. A test world or a session moves the packets.

A packet is a sequence of messages, each a header of 32 bytes and a payload padded with zeros to a multiple of 8:

    digest of the task's path (16) | counter (4) | depth (4) | payload length (8)          little endian

The counter counts what this task has sent to this peer, so (digest, counter) names a message. Depth is the length of
the longest chain of messages that ends with this one. Padding keeps payloads aligned: received arrays are read-only
views of the packet.

A random draw is named by the path of the task and a counter for the subset of parties that share it; its key is
keyed BLAKE3 under the subset's key of the run id and that name (`prf.derive`). Only members of the subset hold that
key, and a run id is never used twice.

Arrays given to `send` are not copied when large: do not write to them afterwards. The test world checks this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import prod
from time import perf_counter_ns
from types import coroutine
from typing import Any

import numpy as np

from .._core import mail, prf
from ..errors import FrameError, ProgramError, ProgramMismatch
from .kept import K, Kept
from .meter import SPANS, Record, Span
from .scheduler import Scheduler, Task, readable

Array = np.ndarray[Any, np.dtype[Any]]

_SMALL = 4096  # payloads up to this size are copied into one buffer with their header

Packet = bytes | memoryview
Message = tuple[Packet, int, int, int]  # packet, offset of the payload, its length, depth


@dataclass(frozen=True, slots=True)
class Spec:
    """What is expected from a peer: an array of this shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Party:
    """One party's end of one run. All methods but `advance`, `deliver` and their like are for protocols.

    Args:
        rank: this party's place, 0 to n - 1.
        n: number of parties.
        keys: 32-byte keys of the subsets of ranks that this party belongs to.
        run_id: 32 bytes that no run has used before.
        flush: called with (peer, parts) when more than `flush_bytes` wait for a peer; None keeps them until the end of
            `advance`.
        patience: seconds after which `advance` hands out what was sent although tasks can go on; None keeps it.
        compute_ns: kernels expected to take at least this long leave the scheduler's thread (see `compute`); None
            runs all of them where they are called.
        debug: check names drawn twice, arrays changed after `send` and replayed messages; keep readable names.
        kept: what this member keeps with others between runs; None where there is nothing of the kind.
    """

    __slots__ = (
        "_draws",
        "_frozen",
        "_kept",
        "_keys",
        "_known",
        "_mail",
        "_scheduler",
        "_seen",
        "_subsets",
        "compute_ns",
        "debug",
        "flush",
        "flush_bytes",
        "jobs",
        "n",
        "on_draw",
        "on_send",
        "on_settled",
        "rank",
        "record",
        "running",
        "spans",
    )

    def __init__(
        self,
        rank: int,
        n: int,
        keys: Mapping[frozenset[int], bytes],
        run_id: bytes,
        *,
        flush: Callable[[int, list[Any]], None] | None = None,
        flush_bytes: int = 1 << 20,
        patience: float | None = None,
        compute_ns: int | None = None,
        debug: bool = False,
        kept: Kept | None = None,
    ) -> None:
        self.rank, self.n = rank, n
        self.record = Record()
        self.spans: deque[Span] = deque(maxlen=SPANS)
        self.flush, self.flush_bytes = flush, flush_bytes
        self.compute_ns = compute_ns
        self.debug = debug
        self.jobs: list[Job] = []  # kernels to be run by whoever drives this party
        self.running = 0  # jobs not yet completed
        self.on_send: Callable[[int, bytes, int, int], None] | None = None  # peer, path, counter, bytes
        self.on_draw: Callable[[frozenset[int], bytes, bytes], None] | None = None  # subset, name, key
        self.on_settled: Callable[[Job], None] = self.complete  # from any thread: a job that is not in `jobs` has ended
        self._keys, self._kept = keys, kept
        self._subsets: dict[tuple[int, ...], tuple[frozenset[int], int]] = {}  # by the arguments of `key`
        self._mail = mail.Mail(rank, n, {_bitmap(subset): key for subset, key in keys.items()}, run_id, patience)
        self._scheduler = Scheduler(n, None if patience is None else self._mail.is_overdue)
        self._known: dict[bytes, bytes] = {}  # debug: digest -> path
        self._seen: set[tuple[int, bytes]] = set()  # debug: messages delivered
        self._draws: set[tuple[frozenset[int], bytes]] = set()  # debug: names drawn
        self._frozen: list[tuple[Any, bytes, Task]] = []  # debug: what was sent and may not change

    # ----------------------------------------------------------------------------------------- for protocols

    @property
    def task(self) -> Task:
        """The task that runs now."""
        return self._scheduler.task

    @property
    def started(self) -> bool:
        """Whether a task runs: not where a protocol without messages is driven by hand."""
        return self._scheduler.task is not None

    def send(self, peer: int, data: Any, head: int = 0) -> None:
        """Send an array, `Bits` or bytes to `peer`; it leaves when all tasks wait, or earlier when much has gathered or
        something has waited for long. The first `head` bytes say what the message belongs to: as the name of a message
        they are not counted as payload.

        Raises:
            ProgramError: `peer` is this party, or nobody.
        """
        task = self._scheduler.task
        payload = data if type(data) is bytes else _wire_form(data)
        size, weight = self._mail.send(task, peer, payload)
        record = task.record
        record.messages += 1
        record.bits += 8 * (size - head)
        if self.debug:
            self._note_send(task, peer, payload, size - head)
        if weight > self.flush_bytes and self.flush is not None:
            self.flush(peer, self._mail.packet(peer))

    @coroutine
    def recv(self, peer: int, like: Any) -> Generator[Any, Any, Any]:
        """Wait for the next message of this task from `peer`.

        Args:
            peer: whose message.
            like: an array, `Bits` or `Spec`: the same shape and type is returned; `bytes` (the type) for bytes of any
                length, an int for bytes of that length.

        Raises:
            FrameError: the message has another length, or its padding is not zeros.
        """
        return self._unpacked((yield from self._message(peer)), peer, like)

    @coroutine
    def rotate(self, z: Any) -> Generator[Any, Any, Any]:
        """Send `z` to the party before this one, return its like from the party after."""
        self.send((self.rank - 1) % self.n, z)
        return (yield from self.recv((self.rank + 1) % self.n, z))

    @coroutine
    def exchange(self, peer: int, z: Any) -> Generator[Any, Any, Any]:
        """Send `z` to `peer` and return what `peer` sends, of the same shape and type."""
        self.send(peer, z)
        return self._unpacked((yield from self._message(peer, meets=True)), peer, z)

    def _message(self, peer: int, meets: bool = False) -> Generator[Any, Any, Message]:
        """The next message of this task from `peer`, who waits for one of this party's as well if it `meets`."""
        task = self._scheduler.task
        message: Message | None = self._mail.receive(task, peer)
        if message is None:
            if self.debug:
                self._known[task.name()] = task.path
            return (yield)
        if meets and self.flush is not None and not self._scheduler.ready:
            # The peer is ahead, and only this task goes on here: if what it waits for left with the next message, the
            # two would compute by turns from here on, each waiting for the other.
            self.flush(peer, self._mail.packet(peer))
        return message

    def _unpacked(self, message: Message, peer: int, like: Any) -> Any:
        """The payload of a message that has just come for this task, as `recv` returns it."""
        task = self._scheduler.task
        packet, offset, size, depth = message
        if depth > task.depth:
            task.depth = depth
        if type(like) is np.ndarray:
            if size != like.nbytes:
                raise self._wrong_length(task, peer, size, like.nbytes)
            return np.ndarray(like.shape, like.dtype, packet, offset)
        if like is bytes:
            return bytes(packet[offset : offset + size])
        wanted = _wire_size(like)
        if size != wanted:
            raise self._wrong_length(task, peer, size, wanted)
        if isinstance(like, int):
            return bytes(packet[offset : offset + size])
        if type(like) is Spec:
            return np.ndarray(like.shape, like.dtype, packet, offset)
        try:
            return type(like).from_bytes(memoryview(packet)[offset : offset + size], like.shape, like.width)
        except FrameError as error:
            raise FrameError(f"{self._received(task, peer)}: {error.what}", wanted=error.wanted) from None

    def key(self, *ranks: int) -> bytes:
        """A fresh key of 16 bytes known to exactly the parties `ranks`, this one among them.

        Each member must call this equally often within a task; the calls of one task are counted per subset.

        Raises:
            ProgramError: this party is not in `ranks`, or the session has no key for that subset.
        """
        task = self._scheduler.task
        subset, bitmap = self._subsets.get(ranks) or self._subset(ranks)
        if self.debug:
            return self._noted_key(task, subset, bitmap)
        key: bytes = self._mail.key(task, bitmap)
        return key

    def draw(self, shape: tuple[int, ...], dtype: Any, *ranks: int, out: Array | None = None) -> Array:
        """An array of uniform words known to exactly the parties `ranks`; `out`, if given."""
        filled: Array = prf.fill(self.key(*ranks), shape, dtype, out)
        return filled

    @coroutine
    def compute(self, fn: Callable[..., Any], *args: Any, cost_ns: float | None = None) -> Generator[Any, Any, Any]:
        """Run a heavy local kernel, `await party.compute(ring.matmul, x, y, cost_ns=...)`.

        Everything sent so far leaves first; the kernel runs in a worker thread while other tasks go on. A kernel
        expected to take less than a millisecond runs at once where it is called: a thread would cost more. `fn` must
        not use the party. With `cost_ns` unknown it is taken to be heavy.
        """
        limit = self.compute_ns
        if limit is None or (cost_ns is not None and cost_ns < limit):
            return fn(*args)
        scheduler = self._scheduler
        job = Job(self, scheduler.task, fn, args)
        self.jobs.append(job)
        self.running += 1
        scheduler.pause = True
        result, error = yield
        if error is not None:
            raise error
        return result

    def kept(self, peer: int, kind: type[K]) -> K:
        """What this member keeps with `peer` from run to run: the one object of this kind.

        Raises:
            ProgramError: this party's runs have nothing that outlives them.
        """
        if self._kept is None:
            raise ProgramError(f"{kind.__name__} of a party that keeps nothing between runs", wanted="a session")
        return self._kept.get(peer, kind)

    @coroutine
    def settled(self, future: Future[Any]) -> Generator[Any, Any, Any]:
        """The result of a future that work outside of the run settles; other tasks go on."""
        if future.done():
            return future.result()
        job = Job(self, self._scheduler.task, future.result, ())
        self.running += 1
        future.add_done_callback(lambda _: self.on_settled(job.run()))
        result, error = yield
        if error is not None:
            raise error
        return result

    # ------------------------------------------------------------------------------------ for what drives it

    def pause(self) -> None:
        """Return from `advance` after the step that runs, though tasks are ready."""
        self._scheduler.pause = True

    def start(self, coro: Coroutine[Any, Any, Any]) -> None:
        """Begin: `coro` is the root of the tree of tasks."""
        self._scheduler.start(coro, self.record)

    def advance(self) -> dict[int, list[Any]]:
        """Run tasks until all wait, or one asks that messages leave. Returns {peer: parts of a packet}.

        Go on calling while `ready`. Run what is in `jobs`. An error of a task is kept until `result`.
        """
        self._scheduler.run()
        if self._frozen:
            self._check_frozen()
        packets: dict[int, list[Any]] = self._mail.packets()
        return packets

    @property
    def ready(self) -> bool:
        """Whether tasks can go on without a message."""
        return bool(self._scheduler.ready)

    @property
    def waiting(self) -> bool:
        """Whether a task waits for a message."""
        return bool(self._mail.is_waited_for)

    def ahead(self, limit: int) -> list[int]:
        """Peers of whom more than `limit` bytes wait here to be received, while no task waits for more of theirs."""
        peers: list[int] = self._mail.ahead(limit)
        return peers

    @property
    def finished(self) -> bool:
        """Whether all tasks have finished, or one has failed."""
        return self._scheduler.finished

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the run, if one did."""
        return self._scheduler.failure

    def result(self) -> Any:
        """What the root returned; raises what a task raised."""
        if self._scheduler.failure is not None:
            raise self._scheduler.failure
        root = self._scheduler.root
        if root is None or not self._scheduler.finished:
            raise ProgramError("the run has not finished", todo="call advance and deliver until `finished`")
        return root.result

    @property
    def rounds(self) -> int:
        """The longest chain of messages among the tasks that have finished."""
        return self._scheduler.depth

    def deliver(self, peer: int, packet: Packet) -> None:
        """Take a packet that `peer` sent.

        Raises:
            FrameError: it is no packet, or brings a message a second time.
        """
        if self.debug:
            self._note_delivery(peer, packet)
        self._scheduler.ready += self._mail.deliver(peer, packet)

    def complete(self, job: Job) -> None:
        """Let the task of a job that has run go on."""
        self.running -= 1
        if not job.task.done:
            self._scheduler.wake(job.task, (job.result, job.error))

    def close(self) -> None:
        """Drop all tasks, and what drives this party: it holds the party in turn."""
        self._scheduler.close()
        self._mail.close()
        self.flush = None
        self.on_settled = lambda job: None

    def waits(self) -> list[tuple[int, str]]:
        """Who is waited for, and for what: [(peer, 'message 0 of root/1/2')]."""
        return [
            (peer, f"message {int.from_bytes(name[16:], 'little')} of {readable(task.path)}")
            for peer, name, task in self._mail.waits()
        ]

    def leftovers(self) -> list[tuple[int, bytes]]:
        """Messages that were delivered and that nobody received: (peer, name of 20 bytes)."""
        left: list[tuple[int, bytes]] = self._mail.leftovers()
        return left

    def title(self, name: bytes) -> str:
        """The name of a message for people; paths are known where this party has used them in debug mode."""
        counter = int.from_bytes(name[16:], "little")
        path = self._known.get(name[:16])
        return f"{counter} of {name[:16].hex() if path is None else readable(path)}"

    # ------------------------------------------------------------------------------------------------ details

    @staticmethod
    def _received(task: Task, peer: int) -> str:
        """The last message that a task asked for from `peer`, for people."""
        return f"message {task.received[peer] - 1} of {readable(task.path)} from party {peer}"

    def _wrong_length(self, task: Task, peer: int, size: int, wanted: int) -> FrameError:
        return FrameError(
            f"{self._received(task, peer)} has {size} bytes",
            wanted=f"{wanted} bytes",
            todo="all parties must run the same program on the same shapes",
        )

    def _subset(self, ranks: tuple[int, ...]) -> tuple[frozenset[int], int]:
        """The subset that ranks in this order name, and its bitmap."""
        subset = frozenset(ranks)
        if subset not in self._keys:
            raise ProgramError(
                f"party {self.rank} draws with parties {sorted(subset)}",
                wanted=f"one of the subsets {sorted(sorted(s) for s in self._keys)}",
            )
        found = self._subsets[ranks] = subset, _bitmap(subset)
        return found

    def _note_send(self, task: Task, peer: int, payload: Any, size: int) -> None:
        self._known[task.name()] = task.path
        if size > _SMALL:
            self._frozen.append((payload, prf.hash(bytes(payload)), task))
        if self.on_send is not None:
            self.on_send(peer, task.path, task.sent[peer] - 1, size)

    def _noted_key(self, task: Task, subset: frozenset[int], bitmap: int) -> bytes:
        """`key` that is noted under its name, the tail of which is the same as in `mail`."""
        counter = dict(task.drawn).get(bitmap, 0)
        name = task.path + b"\x02" + bitmap.to_bytes(8, "little") + counter.to_bytes(4, "little")
        if (subset, name) in self._draws:
            raise ProgramError(
                f"party {self.rank} drew the name {name.hex()} of {readable(task.path)} twice, with {sorted(subset)}",
                wanted="a fresh name for every draw",
            )
        self._draws.add((subset, name))
        key: bytes = self._mail.key(task, bitmap)
        if self.on_draw is not None:
            self.on_draw(subset, name, key)
        return key

    def _note_delivery(self, peer: int, packet: Packet) -> None:
        for name in mail.names(packet):
            if (peer, name) in self._seen:
                raise FrameError(f"party {peer} sent message {self.title(name)} twice")
            self._seen.add((peer, name))

    def _check_frozen(self) -> None:
        for payload, digest, task in self._frozen:
            if prf.hash(bytes(payload)) != digest:
                raise ProgramError(f"{readable(task.path)} changed an array of {len(payload)} bytes after sending it")
        self._frozen.clear()


class Job:
    """A kernel waiting for a thread. `run` may be called anywhere; `Party.complete` only by the party's thread."""

    __slots__ = ("args", "error", "fn", "ns", "party", "result", "task")

    def __init__(self, party: Party, task: Task, fn: Callable[..., Any], args: tuple[Any, ...]):
        self.party, self.task, self.fn, self.args = party, task, fn, args
        self.result: Any = None
        self.error: BaseException | None = None
        self.ns = 0

    def run(self) -> Job:
        """Run the kernel, keeping its result or error."""
        began = perf_counter_ns()
        try:
            self.result = self.fn(*self.args)
        except BaseException as error:
            self.error = error
        self.ns = perf_counter_ns() - began
        return self


def check_leftovers(party: Party, who: Sequence[str], titles: Iterable[Callable[[bytes], str]] = ()) -> None:
    """Raise if messages are left that nobody received: the parties have spawned differently.

    Args:
        party: a party that has finished.
        who: names of the parties.
        titles: readable names for messages by their 20 bytes, from parties that may know them (`Party.title`).

    Raises:
        ProgramMismatch: names the message and both parties.
    """
    left = party.leftovers()
    if not left:
        return
    peer, name = left[0]
    title = next((t for t in (f(name) for f in titles) if name[:16].hex() not in t), party.title(name))
    raise ProgramMismatch(
        f"{who[peer]} sent message {title}, which {who[party.rank]} never received ({len(left)} such)",
        wanted="every message received: all parties spawn the same tasks in the same order",
        todo="look for a spawn that depends on rank, on a set or on the order of arrival",
        party=who[peer],
    )


def _bitmap(ranks: Iterable[int]) -> int:
    return sum(1 << rank for rank in ranks)


def _wire_form(data: Any) -> Any:
    """The bytes of an array, without a copy if it is large and contiguous, or of what has `tobytes`."""
    if type(data) is np.ndarray:
        if data.nbytes <= _SMALL:
            return data.tobytes()
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    if isinstance(data, np.generic):
        raise ProgramError(f"a NumPy scalar of {data.dtype} is sent", wanted="a 0-d array: index with x[i, ...]")
    return data.tobytes()


def _wire_size(like: Any) -> int:
    """The bytes in which the like of `like` arrives."""
    if isinstance(like, int):
        return like
    if type(like) is Spec:
        return prod(like.shape) * like.dtype.itemsize
    size: int = like.nbytes
    return size
