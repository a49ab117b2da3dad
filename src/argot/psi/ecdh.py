"""Private set intersection by blinding twice: two owners, semi-honest, over ristretto255 (security note: ecdh.md).

Owner A has x_1..x_n and a fresh scalar a, owner B has y_1..y_m and b; H maps keys to points; pi and rho are fresh
secret orders. B is the owner of fewer rows (of equal sets, the later rank).

    A -> B   a H(x_pi(1)), a H(x_pi(2)), ...                     32 bytes a row, in batches
    B -> A   b H(y_rho(1)), b H(y_rho(2)), ...                   32 bytes a row
    A -> B   tag(a b H(y_rho(1))), tag(a b H(y_rho(2))), ...     40 + 2 log2(n + m) bits, in the order they came
    B        knows the tags of its own rows and makes those of A's; equal tags are common rows
    B -> A   for each common row, in the order of the tags, which of the points of A it was

Both end with their rows of the intersection, in the order of tags that neither owner chose, so that row i of one is
row i of the other. (Sending A its tags instead of the last message would take 7 to 10 bytes a row, not 2 to 4.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import ceil, log2
from struct import Struct
from typing import Any

import numpy as np

from .._core import sets
from ..errors import ArgotError, FrameError, InputError, InputRefused, PermissionRefused
from ..runtime.party import Party
from ..runtime.scheduler import join, spawn
from .keys import Keys, read_keys

Array = np.ndarray[Any, np.dtype[Any]]
Progress = Callable[[int, int], None]

BATCH = 4096  # rows in a message: 0.02 to 0.1 s of work, so progress shows and both owners stay busy
MAX_ITEMS = 1 << 26
POINT = 32
POINT_NS = 4_000  # to blind one, on one core with AVX-512; seven times that without
_HEADER = Struct("<BQQ")  # outcome, rows, most rows accepted of the other; then the kinds as text
_HEADER_MOST = 1024
_KINDS = {"integer", "text", "bytes"}
_REPORT = Struct("<BQ")  # outcome, size of the intersection


class Outcome(IntEnum):
    """What an owner tells the others of how it went: all of a failure that crosses."""

    DONE = 0
    KEYS_REFUSED = 1  # the sender's own keys
    PEER_REFUSED = 2  # the other owner's keys
    KINDS_DIFFER = 3
    TOO_MANY = 4
    MALFORMED = 5


@dataclass(frozen=True, slots=True)
class Intersection:
    """What an owner gets.

    Attributes:
        rows: int64 numbers of this owner's rows that the other has too; entry i of both owners is the same key.
            May be empty: whether that is an error is for the caller to say.
        own_items: rows that went in here.
        peer_items: rows that went in at the other owner.
    """

    rows: Array
    own_items: int
    peer_items: int

    @property
    def size(self) -> int:
        """The rows in common."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing that one participant learns by design of a run; `of` says about whose data."""

    to: str
    of: tuple[str, ...]
    what: str


def disclosed(owners: tuple[str, str], observers: Iterable[str] = ()) -> list[Disclosure]:
    """Everything that a run reveals, to whom, for the report.

    Args:
        owners: names of the two owners.
        observers: names of those who are told the size: helpers, and the driver where it sees the size of tables.
    """
    first, second = owners
    told = []
    for me, other in ((first, second), (second, first)):
        told += [
            Disclosure(me, (other,), f"number of rows and types of the key columns of {other}"),
            Disclosure(me, (other,), f"which rows of {me} have a key that {other} has too"),
            Disclosure(me, (other,), f"whether {other} refused its keys (one bit)"),
        ]
    for observer in observers:
        told += [
            Disclosure(observer, owners, "number of rows in common"),
            Disclosure(observer, owners, "whether an owner refused its keys, and which (one bit each)"),
        ]
    return told


async def intersect(
    party: Party,
    peer: int,
    keys: Keys | Sequence[Any],
    *,
    observers: Sequence[int] = (),
    max_items: int = MAX_ITEMS,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
    batch: int = BATCH,
) -> Intersection:
    """One owner's part; the other owner calls it too, and `observers` call `observe`.

    Args:
        party: this end of the run.
        peer: rank of the other owner.
        keys: from `read_keys`, or its key columns, then read here.
        observers: ranks that are told the size; the same at both owners.
        max_items: most rows, of either owner, with which this one runs.
        names: the parties by rank, for messages.
        progress: called with (rows done, rows in all): own rows blinded and the other's blinded again.
        batch: rows in a message; the same at both owners.

    Raises:
        InputError: the keys cannot be used (what is wrong stays here), or the owners' keys differ in types.
        InputRefused: the other owner could not use its keys.
        PermissionRefused: an owner has more rows than one of them accepts.
        FrameError: an owner received bytes that are no points, tags or positions.
    """
    run = _Run(party, peer, tuple(observers), _names(party, names), progress, batch)
    own = await run.agree(keys, max_items)
    matcher = len(own) < run.peer_items or (len(own) == run.peer_items and party.rank > peer)
    rows = await (_match(run, own) if matcher else _be_matched(run, own))
    if rows is None:
        raise run.failure(Outcome.MALFORMED)
    run.report(Outcome.DONE, len(rows))
    return Intersection(rows, len(own), run.peer_items)


async def observe(party: Party, owners: tuple[int, int], *, names: Sequence[str] | None = None) -> int:
    """The size of the intersection, for a participant with no rows of its own.

    Raises:
        InputRefused, InputError, PermissionRefused: as at the owners.
        FrameError: an owner received something malformed, or the owners tell different sizes.
    """
    names = _names(party, names)
    reports = [_REPORT.unpack(await party.recv(owner, _REPORT.size)) for owner in owners]
    for owner, other, (outcome, _) in zip(owners, owners[::-1], reports, strict=True):
        if outcome != Outcome.DONE:
            raise _error(outcome, names[owner], names[other])
    (_, size), (_, other_size) = reports
    if size != other_size:
        raise FrameError(f"{names[owners[0]]} and {names[owners[1]]} tell sizes {size} and {other_size}")
    return int(size)


# ------------------------------------------------------------------------------------------------- the two owners


async def _be_matched(run: _Run, own: Keys) -> Array | None:
    """A: sends points, and tags of B's; is told which of its points are common."""
    secret = _Secret(own)
    length = _tag_length(len(own), run.peer_items)
    points = await spawn(_send_points(run, secret))
    tags = await spawn(_answer_with_tags(run, secret, length))
    told = await run.recv()
    await join(points)
    await join(tags)
    positions = None if told is None else _positions(told, len(own), run.peer_items)
    run.failed |= positions is None
    run.send(b"")
    return None if positions is None else secret.order[positions]


async def _match(run: _Run, own: Keys) -> Array | None:
    """B: sends points, gets the tags of its rows and makes those of A's, tells A which are common."""
    secret = _Secret(own)
    length = _tag_length(len(own), run.peer_items)
    making = await spawn(_make_tags(run, secret, length))
    getting = await spawn(_send_points_for_tags(run, secret, length))
    theirs, ours = await join(making), await join(getting)
    rows = None
    if not run.failed:
        try:
            mine, its = await run.party.compute(sets.common, ours, theirs)
            rows = secret.order[mine]
        except sets.RepeatedTag:  # distinct keys have distinct points: somebody sent one twice
            run.failed = True
    run.send(b"" if run.failed else _packed(its, run.peer_items))
    await run.recv()
    return None if run.failed else rows


class _Secret:
    """What an owner draws afresh for each run, and never sends."""

    def __init__(self, own: Keys) -> None:
        self.items = own.items
        self.order: Array = sets.permutation(len(own))
        self.blinder = sets.Blinder()

    def points(self, start: int, count: int) -> Array:
        points: Array = self.blinder.blind(self.items[self.order[start : start + count]])
        return points

    def tags(self, points: Array, length: int) -> Array:
        tags: Array = sets.tags(self.blinder.reblind(points), length)
        return tags


async def _send_points(run: _Run, secret: _Secret) -> None:
    for start, count in run.batches(len(secret.items)):
        points = await run.compute(secret.points, start, count, items=count)
        run.send(b"" if points is None else points.tobytes())


async def _make_tags(run: _Run, secret: _Secret, length: int) -> Array:
    """The other end of `_send_points`."""
    made = [np.empty((0, length), np.uint8)]
    for _, count in run.batches(run.peer_items):
        points = await run.recv_rows(count, POINT)
        tags = await run.compute(secret.tags, points, length, items=count)
        made += [] if tags is None else [tags]
    return np.concatenate(made)


async def _send_points_for_tags(run: _Run, secret: _Secret, length: int) -> Array:
    await _send_points(run, secret)
    got = [np.empty((0, length), np.uint8)]
    for _, count in run.batches(len(secret.items)):
        tags = await run.recv_rows(count, length)
        got += [] if tags is None else [tags]
    return np.concatenate(got)


async def _answer_with_tags(run: _Run, secret: _Secret, length: int) -> None:
    """The other end of `_send_points_for_tags`."""
    for _, count in run.batches(run.peer_items):
        points = await run.recv_rows(count, POINT)
        tags = await run.compute(secret.tags, points, length, items=count)
        run.send(b"" if tags is None else tags.tobytes())


class _Run:
    """One owner's end of one run.

    Once something malformed came, `failed` is set: from then on no work is done and every message says so instead of
    what it should carry. So all tasks of both owners end in order, within a round trip, and nobody waits.
    """

    def __init__(
        self,
        party: Party,
        peer: int,
        observers: tuple[int, ...],
        names: Sequence[str],
        progress: Progress | None,
        batch: int,
    ) -> None:
        self.party, self.peer, self.observers, self.names = party, peer, observers, names
        self.progress, self.batch = progress, batch
        self.failed = False
        self.peer_items = self.done = self.total = 0

    async def agree(self, keys: Keys | Sequence[Any], max_items: int) -> Keys:
        """The own keys, once both owners know that the run can begin; otherwise what keeps it from beginning."""
        own, error = None, None
        try:
            own = keys if isinstance(keys, Keys) else await self.party.compute(read_keys, *keys)
            header = _HEADER.pack(Outcome.DONE, len(own), max_items) + ",".join(own.kinds).encode()
        except InputError as caught:
            caught.party = self.names[self.party.rank]
            error = caught
            header = _HEADER.pack(Outcome.KEYS_REFUSED, 0, 0)
        self.party.send(self.peer, header)
        outcome, detail = self._verdict(own, max_items, await self.party.recv(self.peer, bytes))
        self.party.send(self.peer, bytes([outcome]))
        answer = await self.party.recv(self.peer, bytes)
        if outcome == Outcome.DONE and answer != bytes([Outcome.DONE]):
            outcome = Outcome.MALFORMED
        if own is not None and outcome == Outcome.DONE:
            return own
        failure = self.failure(outcome, detail)
        raise error or failure

    def _verdict(self, own: Keys | None, max_items: int, header: bytes) -> tuple[Outcome, str]:
        """Whether the run can begin, from both headers: the same at both owners unless a header is malformed."""
        outcome, self.peer_items, peer_max, kinds = _parsed(header)
        if own is None:
            return Outcome.KEYS_REFUSED, ""
        if outcome != Outcome.DONE:
            return (Outcome.PEER_REFUSED if outcome == Outcome.KEYS_REFUSED else Outcome.MALFORMED), ""
        if kinds != own.kinds and len(own) and self.peer_items:
            return Outcome.KINDS_DIFFER, f"{', '.join(own.kinds)} here, {', '.join(kinds)} there"
        limit = min(max_items, peer_max)
        if max(len(own), self.peer_items) > limit:
            return Outcome.TOO_MANY, f"at most {limit} rows"
        self.total = len(own) + self.peer_items
        return Outcome.DONE, ""

    def batches(self, rows: int) -> Iterator[tuple[int, int]]:
        """(first row, number of rows) of each message."""
        return ((start, min(self.batch, rows - start)) for start in range(0, rows, self.batch))

    def send(self, payload: bytes) -> None:
        if self.failed:
            self.party.send(self.peer, bytes([Outcome.MALFORMED]))
        else:
            self.party.send(self.peer, bytes([Outcome.DONE]) + payload)

    async def recv(self) -> bytes | None:
        """What the other owner sent; None once the run has failed."""
        message: bytes = await self.party.recv(self.peer, bytes)
        self.failed |= message[:1] != bytes([Outcome.DONE])
        return None if self.failed else message[1:]

    async def recv_rows(self, count: int, width: int) -> Array | None:
        payload = await self.recv()
        if payload is None or len(payload) != count * width:
            self.failed = True
            return None
        return np.frombuffer(payload, np.uint8).reshape(count, width)

    async def compute(self, kernel: Callable[..., Array], *args: Any, items: int) -> Array | None:
        """A kernel over so many points; None once the run has failed, or where one of them is no point."""
        if self.failed:
            return None
        try:
            made = await self.party.compute(kernel, *args, cost_ns=items * POINT_NS)
        except sets.BadPoint:
            self.failed = True
            return None
        self.done += items
        if self.progress is not None:
            self.progress(self.done, self.total)
        return made

    def report(self, outcome: Outcome, size: int = 0) -> None:
        for observer in self.observers:
            self.party.send(observer, _REPORT.pack(outcome, size))

    def failure(self, outcome: Outcome, detail: str = "") -> ArgotError:
        """Tell the observers, and give the error to raise."""
        self.report(outcome)
        return _error(outcome, self.names[self.party.rank], self.names[self.peer], detail)


def _names(party: Party, names: Sequence[str] | None) -> Sequence[str]:
    return names if names is not None else [f"party {rank}" for rank in range(party.n)]


def _error(outcome: int, me: str, other: str, detail: str = "") -> ArgotError:
    """What an outcome that `me` tells means, at `me`, and at observers."""
    more = f": {detail}" if detail else ""
    if outcome in (Outcome.KEYS_REFUSED, Outcome.PEER_REFUSED):
        who = me if outcome == Outcome.KEYS_REFUSED else other
        return InputRefused(
            f"{who} could not use its keys for the intersection", todo=f"the log of {who} says why", party=who
        )
    if outcome == Outcome.KINDS_DIFFER:
        return InputError(
            f"the key columns of {me} and {other} differ in number or type{more}",
            wanted="the same number of key columns, of the same types, in the same order, at both",
            todo='read identifiers as text at both: 1 and "1" are different keys',
        )
    if outcome == Outcome.TOO_MANY:
        return PermissionRefused(
            f"{me} and {other} have more rows than one of them accepts in an intersection{more}",
            todo="raise the limit at both, or intersect less",
        )
    return FrameError(
        f"{me} or {other} received bytes that are no points, tags or positions of an intersection",
        todo="both must run the same version with the same settings; a dishonest owner causes this too",
    )


def _parsed(header: bytes) -> tuple[int, int, int, tuple[str, ...]]:
    """Outcome, rows, most rows accepted, kinds; MALFORMED for anything that is no header."""
    kinds = tuple(header[_HEADER.size :].decode("ascii", "replace").split(",")) if len(header) > _HEADER.size else ()
    if not _HEADER.size <= len(header) <= _HEADER_MOST or not set(kinds) <= _KINDS:
        return Outcome.MALFORMED, 0, 0, ()
    return (*_HEADER.unpack_from(header), kinds)


def _tag_length(rows: int, others: int) -> int:
    """Bytes of a tag: two of the (n + m)^2 / 2 pairs of different keys have equal tags with probability 2^-40 at
    most. Counting pairs within a list too, since these end the run.
    """
    return max(8, ceil((40 + 2 * log2(max(2, rows + others)) - 1) / 8))


def _packed(positions: Array, bound: int) -> bytes:
    """Positions below `bound`, each in as few bytes as hold it."""
    width = _position_width(bound)
    packed: Array = positions.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
    return packed.tobytes()


def _positions(packed: bytes, bound: int, others: int) -> Array | None:
    """What `_packed` packed; None unless distinct, below `bound` and no more than both owners' rows."""
    width = _position_width(bound)
    count, rest = divmod(len(packed), width)
    if rest or count > min(bound, others):
        return None
    wide = np.zeros((count, 8), np.uint8)
    wide[:, :width] = np.frombuffer(packed, np.uint8).reshape(count, width)
    positions = wide.view("<u8").reshape(count).astype(np.int64)
    if count and (positions.max() >= bound or len(np.unique(positions)) != count):
        return None
    return positions


def _position_width(bound: int) -> int:
    return max(1, ceil(max(bound - 1, 1).bit_length() / 8))
