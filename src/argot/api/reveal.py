"""`argot.reveal`, `argot.psi_join`, `argot.within`: the functions that stand beside `argot.device`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..vm import lower
from .handles import Handle
from .places import Party


def reveal(x: Handle, to: Party | str) -> Handle:
    """A node that gives a value to one party and to nobody else; returns that party's handle of it.

    Args:
        x: a secret, or a value of a party, or a tree of secrets.
        to: who learns it: any party of the federation, a member of the device or not.

    Raises:
        PermissionRefused: when used, if the policy of a party does not allow it.
    """
    return _handle(x, "reveal").federation.reveal(x, to)


def psi_join(
    left: Handle,
    right: Handle,
    on: str | Sequence[str] | None = None,
    *,
    left_on: str | Sequence[str] | None = None,
    right_on: str | Sequence[str] | None = None,
    helper: Party | str | None = None,
    allow_empty: bool = False,
) -> tuple[Handle, Handle]:
    """Both owners' rows of the intersection, aligned. See `Federation.psi`."""
    federation = _handle(left, "psi_join").federation
    return federation.psi(left, right, on, left_on=left_on, right_on=right_on, helper=helper, allow_empty=allow_empty)


def within(x: Any, low: float, high: float) -> Any:
    """Inside a traced function: x, with the promise that low <= x <= high. See `vm.lower.within`."""
    return lower.within(x, low, high)


def _handle(x: Any, what: str) -> Handle:
    if not isinstance(x, Handle):
        raise InputError(f"{what} of a {type(x).__name__}", wanted="a handle, as calls on devices return")
    return x
