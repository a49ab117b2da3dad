"""The link of an agent or a driver."""

from __future__ import annotations

from typing import Any

from argot._core import link

from ..config import Limits
from ..keys import Identity


def open_link(identity: Identity, name: str, listen: str | None, limits: Limits) -> Any:
    """A link that listens at `listen` (None: it only dials). AddressInUse or LinkError if it cannot."""
    return link.Link(
        name, identity.certificate, identity.key, listen, keep_alive=limits.keep_alive, lost_after=limits.lost_after
    )
