"""`docs/reference/tampering.md`: what comes of a party that changes what it sends, for every message of an operation.

PYTHONPATH=tests/conformance python tests/attacks/tampering.py > docs/reference/tampering.md

The adversary is the sender: packets are changed in the test world, where nothing authenticates them. The inputs are
shared and the results are opened without changes; only messages of the operation itself are touched, one at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from struct import pack, unpack_from
from typing import Any
from unittest.mock import patch

import numpy as np
import test_protocols
from forms import on_pages
from test_protocols import cases, has, opened, signed

from argot import mpc
from argot.errors import ArgotError
from argot.mpc.bits import Bits
from argot.mpc.protocol import RINGS
from argot.runtime.world import World, forget_kept

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "tampering.md"
ELEMENTS = 72
"""No multiple of 64: planes of bits have padding, which is changed as well."""
MOST = 40
"""Messages of an operation that are tried unless all are."""

Name = tuple[int, int, bytes]
"""Sender, receiver, and the 20 bytes of path and counter."""


@dataclass(frozen=True)
class Message:
    """One message on its way; `head` are the 32 bytes before the payload, of which the last 8 say its length."""

    name: Name
    head: bytes
    payload: bytes

    def carrying(self, payload: bytes) -> Message:
        """The same message with another payload, and its length."""
        return Message(self.name, self.head[:24] + pack("<Q", len(payload)), payload)

    def packed(self) -> bytes:
        return self.head + self.payload + bytes(-len(self.payload) % 8)


def messages(sender: int, receiver: int, packet: bytes) -> Iterator[Message]:
    """The messages of a packet."""
    at = 0
    while at < len(packet):
        head = bytes(packet[at : at + 32])
        (size,) = unpack_from("<Q", head, 24)
        yield Message((sender, receiver, head[:20]), head, bytes(packet[at + 32 : at + 32 + size]))
        at += 32 + size + -size % 8


Change = Callable[[Message], Sequence[bytes]]
"""What arrives in the place of a message: nothing, or what is put there in its packet."""


class Wire:
    """An interceptor that notes all messages, and changes those that have a change."""

    def __init__(self, changes: dict[Name, Change] | None = None) -> None:
        self.changes = changes or {}
        self.touched = False  # whether the beginning of a payload was changed, which may say what it uses
        self.seen: list[Message] = []
        self.met: set[Name] = set()

    def __call__(self, sender: int, receiver: int, packet: bytes) -> list[bytes]:
        arriving = b""
        for message in messages(sender, receiver, packet):
            self.seen.append(message)
            change = self.changes.get(message.name)
            if change is None:
                arriving += message.packed()
            else:
                self.met.add(message.name)
                changed = b"".join(change(message))
                self.touched |= changed[32:40] != message.payload[:8]
                arriving += changed
        return [arriving] if arriving else []


# ----------------------------------------------------------------------------------------------------- operations


class Operation:
    """One operation of a protocol on the inputs of its case, to be run again and again.

    The runs of a world have numbers, from which all that is drawn follows: number 1 is the operation, 2 opens results.

    Args:
        form: of a protocol.
        name: of a case.
        debug: whether parties check what they check in tests only.
    """

    def __init__(self, form: Any, name: str, debug: bool = False) -> None:
        self.form, self.name, self.debug = form, name, debug
        with elements():
            self.prepared = self._world(None).run(cases(24, 5, 6)[name])
        wire = Wire()
        self.clean = self.run(wire)
        self.messages = wire.seen
        self.apart = 1 if name.endswith("trunc") else 0  # what a truncation may be off by

    def run(self, wire: Wire) -> list[Any]:
        """What each party finds, the results opened to all. Raises what the world raises."""
        world = self._world(wire)
        world._runs = 1

        async def call(p: Any, case: Any) -> Any:
            return await getattr(p, self.name)(*case.args, **case.kwargs)

        async def end(p: Any, result: Any) -> Any:
            return [await opened(p, value) for value in (result if isinstance(result, list) else [result])]

        with elements():
            results = world.run(call, self.prepared)
            world.intercept = None
            return world.run(end, results)

    def outcome(self, changes: dict[Name, Change]) -> ArgotError | str:
        """The error that the changes end in, or `wrong` if a party that sent none of them finds another result than
        without, or `none`. Whatever is no ArgotError is raised.
        """
        wire = Wire(changes)
        try:
            found = self.run(wire)
        except ArgotError as error:
            assert wire.met, error
            return error
        finally:
            if wire.touched:
                forget_kept()  # a party may have used correlations that the other has for something else
        assert wire.met == changes.keys()
        honest = set(range(self.form.parties)) - {sender for sender, _, _ in changes}
        return "wrong" if any(self._differ(found[rank], self.clean[rank]) for rank in honest) else "none"

    def sample(self, most: int = MOST) -> list[Message]:
        """About `most` messages: the first and the last from each party to each other, and some between."""
        pairs: dict[tuple[int, int], list[int]] = {}
        for i, message in enumerate(self.messages):
            pairs.setdefault(message.name[:2], []).append(i)
        ends = {places[end] for places in pairs.values() for end in (0, -1)}
        others = [i for i in range(len(self.messages)) if i not in ends]
        step = max(1, -(-len(others) // max(1, most - len(ends))))
        return [self.messages[i] for i in sorted(ends | set(others[::step]))]

    def partner(self, message: Message, same: bool) -> Message | None:
        """The next message of the same sender whose payload differs: of the same length if `same`, else of another."""
        at = self.messages.index(message)
        for other in self.messages[at + 1 :] + self.messages[:at]:
            fits = (len(other.payload) == len(message.payload)) == same
            if other.name[0] == message.name[0] and fits and other.payload != message.payload:
                return other
        return None

    def _world(self, intercept: Wire | None) -> World:
        return World(self.form, n=self.form.parties, debug=self.debug, intercept=intercept)

    def _differ(self, found: Any, wanted: Any) -> bool:
        for a, b in zip(found, wanted, strict=True):
            if (a is None) != (b is None):
                return True
            if a is not None and (np.abs(numbers(a) - numbers(b)) > self.apart).any():
                return True
        return False


def numbers(value: Any) -> np.ndarray:
    """An opened value as Python integers."""
    return signed(value.to_ring(RINGS[64]) if isinstance(value, Bits) else value)


@contextmanager
def elements() -> Iterator[None]:
    """The cases with few elements."""
    with patch.object(test_protocols, "N", ELEMENTS):
        yield


def operations(form: Any) -> list[str]:
    """The operations of a protocol that have a case, by name."""
    return [name for name in cases(24, 5, 6) if has(form, name)]


# -------------------------------------------------------------------------------------------------------- changes


def flip(bit: int) -> Change:
    """One bit of the payload; counted from its end if negative."""

    def change(message: Message) -> list[bytes]:
        payload = bytearray(message.payload)
        at = bit % (8 * len(payload))
        payload[at // 8] ^= 1 << at % 8
        return [message.carrying(bytes(payload)).packed()]

    return change


def replace(message: Message) -> list[bytes]:
    """Other bytes of the same length."""
    seed = int.from_bytes(message.name[2], "little")
    return [message.carrying(np.random.default_rng(seed).bytes(len(message.payload))).packed()]


def replay(message: Message) -> list[bytes]:
    """Twice."""
    return [message.packed(), message.packed()]


def drop(message: Message) -> list[bytes]:
    """Not at all."""
    return []


def resize(size: Callable[[int], int]) -> Change:
    """Another length: shorter, or longer by zeros."""

    def change(message: Message) -> list[bytes]:
        wanted = size(len(message.payload))
        return [message.carrying(message.payload[:wanted].ljust(wanted, b"\0")).packed()]

    return change


def head(at: int, bit: int) -> Change:
    """One bit of byte `at` of the header."""

    def change(message: Message) -> list[bytes]:
        changed = bytearray(message.packed())
        changed[at] ^= 1 << bit
        return [bytes(changed)]

    return change


def swap(one: Message, other: Message) -> dict[Name, Change]:
    """Each with the payload that the other has without changes."""
    return {
        one.name: lambda message: [message.carrying(other.payload).packed()],
        other.name: lambda message: [message.carrying(one.payload).packed()],
    }


SIZES = [
    resize(lambda n: n - 1),
    resize(lambda n: n + 1),
    resize(lambda n: n + 8),
    resize(lambda n: 0),
    resize(lambda n: 2 * n),
]
"""Lengths that no message of these operations has."""
NAMES = [head(0, 0), head(15, 7), head(16, 0), head(19, 7)]
"""Other paths and counters."""
DEPTHS = [head(20, 0), head(23, 7)]
"""Other depths, which only tell how many rounds there were."""
LENGTHS = [head(24, 0), head(24, 3), head(28, 0), head(31, 7)]
"""Lengths that are not those of the payload."""
FLIPS = (0, 77, -1)


def forgeries(operation: Operation, message: Message) -> Iterator[dict[Name, Change]]:
    """Changes that leave a message its name and length: only a check of its content could notice them."""
    for bit in FLIPS:
        yield {message.name: flip(bit)}
    yield {message.name: replace}
    other = operation.partner(message, same=True)
    if other is not None:
        yield swap(message, other)


# ----------------------------------------------------------------------------------------------------------- page

INTRODUCTION = """# Tampering

What comes of a party that changes what it sends. The protocols are secure against parties that follow the program:
nothing checks what a message says, so one deviating party can make results wrong, and may learn something from how
the others go on. This page lists that exposure as it is measured, one message at a time, for every operation
(`tests/attacks/test_wire.py`).

Bytes that are changed *between* parties reach no protocol: TLS refuses the record, the connection is made anew, and
what was on its way is sent again (`crates/link/tests/wire.rs`).

## What always ends in an error

Whichever message of an operation it is, the run ends with an error that names the message or its sender, if it

| | error |
| --- | --- |
| has another length, or is exchanged for one of another length | `FrameError` |
| does not come | `Deadlock` |
| comes twice | `FrameError`; `ProgramMismatch` where the first was used before the second came |
| has another name, or a length that its packet does not hold | `FrameError`, `Deadlock` or `ProgramMismatch` |

## What does not

The message keeps its name and its length; a bit of it is flipped, it is replaced, or exchanged for another of the same
sender. *Wrong*: an honest party finds another result (a truncated one by more than its last place), without an error.
*Caught*: an error; bits in the padding of planes are noticed, and places that are not a permutation. A cell lists which
of these came of any change; of operations with more than {most} messages a fixed sample is changed. *None*: all results
stay. *Silent*: the operation has no messages. *No*: the protocol has no such operation.

"""


@cache
def measure(form: Any, name: str) -> str:
    """The cell of an operation."""
    if not has(form, name):
        return "no"
    operation = Operation(form, name)
    if not operation.messages:
        return "silent"
    found = {outcome(operation, changes) for message in operation.sample() for changes in forgeries(operation, message)}
    return ", ".join(sorted(found - {"none"})) or "none"


def outcome(operation: Operation, changes: dict[Name, Change]) -> str:
    """`Operation.outcome` as the page has it."""
    found = operation.outcome(changes)
    return "caught" if isinstance(found, ArgotError) else found


def hiding() -> list[Any]:
    """All forms but the reference."""
    return [form for form in mpc.forms() if form.parties > 1]


def table(cells: Callable[[Any, str], str] = measure) -> str:
    """The table; `cells(form, operation)` is what stands in it."""
    forms = [form for form in on_pages() if form.parties > 1]
    lines = [f"| operation | {' | '.join(map(repr, forms))} |", "| --- " * (1 + len(forms)) + "|"]
    for name in cases(24, 5, 6):
        lines.append(f"| `{name}` | {' | '.join(cells(form, name) for form in forms)} |")
    return "\n".join(lines) + "\n"


def documented() -> dict[tuple[str, str], str]:
    """The cells of the page: form, operation -> what stands there."""
    found: dict[tuple[str, str], str] = {}
    header: list[str] = []
    for line in PAGE.read_text().splitlines():
        row = [cell.strip() for cell in line.split("|")[1:-1]]
        if row[:1] == ["operation"]:
            header = row
        elif header and row:
            found |= {(form, row[0].strip("`")): cell for form, cell in zip(header[1:], row[1:], strict=True)}
    return found


if __name__ == "__main__":
    sys.stdout.write(INTRODUCTION.format(most=MOST) + table())
