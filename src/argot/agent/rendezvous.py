"""Agreement on one node before it runs: every party says the hash of what it was given, or that it refuses.

The session that follows repeats the hash and adds 16 fresh bytes of each party, from which the run id is made
(`runtime.session`). This step comes first so that a refusal, a failed input or a slow one never leaves a session
half open.
"""

from __future__ import annotations

from ..errors import ArgotError, ProgramMismatch
from ..graph.node import short
from .failures import restore
from .wire import Agree, Failure


class Rendezvous:
    """What has been said about one node. `members` are in rank order, `hash_` is of what this party was given."""

    def __init__(self, me: str, members: tuple[str, ...], hash_: bytes) -> None:
        self.me, self.members, self.hash = me, members, hash_
        self.heard: dict[str, Agree] = {}

    def speak(self, job: bytes, device: str, sequence: int, refusal: Failure | None) -> Agree | None:
        """This party's one word, to be sent to all others; None if it has spoken already."""
        if self.me in self.heard:
            return None
        said = Agree(job, device, sequence, self.hash, refusal)
        self.heard[self.me] = said
        return said

    def hear(self, party: str, said: Agree) -> None:
        """The first word of a member counts; words of others do not."""
        if party in self.members and party != self.me:
            self.heard.setdefault(party, said)

    def objection(self) -> ArgotError | None:
        """Why the node cannot run, as far as is known: a hash that differs, or another party's refusal."""
        for party in self.members:
            said = self.heard.get(party)
            if said is None or party == self.me:
                continue
            if said.hash != self.hash:
                return ProgramMismatch(
                    f"{self.me} was given {short(self.hash)} and {party} {short(said.hash)} for one node",
                    wanted="the same program, inputs and device at every party",
                    todo="compare what the driver sent to each",
                )
            if said.refusal is not None:
                return restore(said.refusal)
        return None

    def complete(self) -> bool:
        return len(self.heard) == len(self.members)
