"""What driver and agents, and agents among themselves, say to one another outside of protocols.

All of it is msgpack of the types below on one session of the link, `CONTROL`. Who sent a message is known from
the pinned certificate of the connection, never from the message.
"""

from __future__ import annotations

from typing import Any

import msgspec

from argot._core import prf

from ..devices.schema import Path, Schema

VERSION = 1
CONTROL: bytes = bytes(prf.hash(b"argot control session 1"))[:16]


class Detail(msgspec.Struct, frozen=True):
    """An error in its owner's words; sent only to a driver that acts for the owner."""

    code: str
    what: str
    wanted: str | None = None
    todo: str | None = None
    text: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What may cross of an error: codes, names and places, no data."""

    code: str
    what: str
    wanted: str | None = None
    todo: str | None = None
    party: str | None = None
    node: str | None = None
    where: str | None = None
    reference: str | None = None
    detail: Detail | None = None


class Usage(msgspec.Struct, frozen=True):
    """What one node cost one agent; `bytes_ahead` are those of no run (`Meter.ahead_bytes`). Rows of `operations`, and
    of `lines` of the user's program, are (name, calls, seconds, bytes sent, rounds)."""

    seconds: float = 0.0
    bytes_sent: int = 0
    bytes_ahead: int = 0
    wire_bytes: int = 0
    messages: int = 0
    packets: int = 0
    rounds: int = 0
    operations: tuple[tuple[str, int, float, int, int], ...] = ()
    lines: tuple[tuple[str, int, float, int, int], ...] = ()


# Driver to agent.


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Opens a job; 16 random bytes name it."""

    version: int
    job: bytes


class Submit(msgspec.Struct, frozen=True, tag="submit"):
    """One node, as canonical bytes."""

    job: bytes
    node: bytes


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """Asks for a value the driver's party owns."""

    job: bytes
    request: int
    object: str
    path: Path


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Forget objects."""

    job: bytes
    objects: tuple[str, ...]


class Query(msgspec.Struct, frozen=True, tag="query"):
    """Asks for what the agent recorded: `log` and `trace` of this job, `usage` of the process, or `saved` models."""

    job: bytes
    request: int
    what: str
    name: str = ""


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """Ends a job; an embedded agent then stops."""

    job: bytes


# Agent to driver.


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The answer to Hello: who I am, for which party I take you, and whether I run your code."""

    version: int
    party: str
    acts_for: tuple[str, ...]
    code: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a node is at this agent, in units of its own."""

    job: bytes
    node: int
    done: int
    total: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A node has run at this agent."""

    job: bytes
    node: int
    schemas: dict[str, Schema]
    usage: Usage
    notes: dict[str, Any] = {}


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A node has not."""

    job: bytes
    node: int
    failure: Failure


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to a Fetch or Query: a failure, or a value in the form of `devices.codec`."""

    job: bytes
    request: int
    failure: Failure | None = None
    value: bytes = b""


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """This agent lost another one."""

    job: bytes
    party: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """This agent knows no such job (any more): it restarted, or the user connected again from elsewhere."""

    job: bytes


# Agent to agent.


class Agree(msgspec.Struct, frozen=True, tag="agree"):
    """This agent is ready to run the node with this hash, or refuses it."""

    job: bytes
    device: str
    sequence: int
    hash: bytes
    refusal: Failure | None = None


class Abort(msgspec.Struct, frozen=True, tag="abort"):
    """This agent failed in the middle of a node that has begun."""

    job: bytes
    device: str
    sequence: int
    failure: Failure


Message = (
    Hello
    | Submit
    | Fetch
    | Drop
    | Query
    | Bye
    | Welcome
    | Progress
    | Done
    | Failed
    | Answer
    | Lost
    | Ended
    | Agree
    | Abort
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def pack(message: Message) -> bytes:
    return _encoder.encode(message)


def unpack(data: bytes) -> Message:
    """One message, checked against the types above; msgspec.ValidationError or DecodeError otherwise."""
    return _decoder.decode(data)
