"""The exceptions of Argot.

    ArgotError
    ├── ConfigError            a configuration file or argument that cannot be used
    │   └── UnknownNameError   a name that does not exist; lists those that do
    ├── InputError             data that cannot be used: shape, dtype, NaN, range, missing column, duplicate id
    │   └── EncodeError        a value that fixed point cannot hold
    ├── ProgramError           a program that cannot run as written
    │   ├── UnsupportedError   an operation this device does not have
    │   ├── TraceError         a traced function raised
    │   ├── Deadlock           every party waits for a message that nobody sent
    │   ├── ClearMismatch      a result on shares differs from the same in the clear
    │   └── ProgramMismatch    two agents were given different programs for one node
    ├── PermissionRefused      a party's policy says no
    │   └── MoveRefused        a value would go to a party that may not have it
    ├── PartyError             something happened at one party
    │   ├── FunctionFailed     a function of the user raised at its party
    │   ├── InputRefused       a party could not encode its input
    │   └── PartyLost          a party is gone
    ├── LinkError              the transport
    │   ├── AddressInUse       the listening port is taken
    │   ├── PeerRejected       certificate not pinned, or a peer nobody knows
    │   └── FrameError         bytes that are not a frame, or not the expected one
    ├── ReportMismatch         an agent's journal says something else than the graph
    └── MissingExtra           an optional library is not installed; names the pip line

Each says what came, what was wanted, and what to do. Across parties only a code and public fields travel
(`wire_fields`); the message itself stays with the party whose data it may quote.
"""

from __future__ import annotations


class ArgotError(Exception):
    """Base of every error that Argot raises on purpose.

    Args:
        what: what came, in one sentence.
        wanted: what was wanted instead.
        todo: what the reader can do about it.
        party: the party where it happened, if at one.
        node: the graph node, as printed by the report.
        where: `file:line` of the user's code.
        reference: number under which the owner's log has the details.
    """

    def __init__(
        self,
        what: str,
        *,
        wanted: str | None = None,
        todo: str | None = None,
        party: str | None = None,
        node: str | None = None,
        where: str | None = None,
        reference: str | None = None,
    ) -> None:
        self.what, self.wanted, self.todo = what, wanted, todo
        self.party, self.node, self.where, self.reference = party, node, where, reference
        super().__init__(what)

    @property
    def code(self) -> str:
        """The stable name under which the error crosses the wire."""
        return type(self).__name__

    def __str__(self) -> str:
        lines = [self.what]
        if self.wanted:
            lines.append(f"wanted: {self.wanted}")
        if self.todo:
            lines.append(f"to do: {self.todo}")
        place = [
            f"{name} {value}"
            for name, value in (("party", self.party), ("node", self.node), ("at", self.where))
            if value
        ]
        if self.reference:
            place.append(f"details in the party's log under {self.reference}")
        if place:
            lines.append("(" + ", ".join(place) + ")")
        return "\n  ".join(lines)


class ConfigError(ArgotError):
    """A configuration file or argument cannot be used."""


class UnknownNameError(ConfigError):
    """A name that does not exist; the message lists those that do."""


class InputError(ArgotError):
    """Data that cannot be used."""


class EncodeError(InputError):
    """A value that fixed point cannot hold: NaN, infinite or out of range."""


class ProgramError(ArgotError):
    """A program that cannot run as written."""


class UnsupportedError(ProgramError):
    """An operation that this device does not have; the message says what exists."""


class TraceError(ProgramError):
    """A function raised while it was traced."""


class Deadlock(ProgramError):
    """Every party waits for a message that nobody sent; says who waits for what."""


class ClearMismatch(ProgramError):
    """A result on shares differs from the same in the clear; names the first line where they go apart."""


class ProgramMismatch(ProgramError):
    """Two agents were given different programs for one node; names both hashes."""


class PermissionRefused(ArgotError):
    """A party's policy does not allow this."""


class MoveRefused(PermissionRefused):
    """A value would reach a party that may not have it; names owner and receiver."""


class PartyError(ArgotError):
    """Something happened at one party."""


class FunctionFailed(PartyError):
    """A function of the user raised at its party."""


class InputRefused(PartyError):
    """A party could not encode its input."""


class PartyLost(PartyError):
    """A party is gone."""


class LinkError(ArgotError):
    """The transport failed."""


class AddressInUse(LinkError):
    """The listening port is taken."""


class PeerRejected(LinkError):
    """A certificate that is not pinned, or a peer that nobody knows."""


class FrameError(LinkError):
    """Bytes that are not a frame, or not the one that was expected."""


class ReportMismatch(ArgotError):
    """An agent's own journal of opened values does not agree with the graph of the driver."""


class JournalBroken(ArgotError):
    """A line of an agent's journal was changed, or is missing."""


class MissingExtra(ArgotError):
    """An optional library is not installed; the message has the pip line."""


def _tree(cls: type[ArgotError]) -> dict[str, type[ArgotError]]:
    found = {cls.__name__: cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def by_code(code: str) -> type[ArgotError]:
    """The class for a code that came over the wire; `ArgotError` where the code is not known."""
    return _tree(ArgotError).get(code, ArgotError)
