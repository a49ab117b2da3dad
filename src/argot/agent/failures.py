"""What crosses of an error, and what stays.

Across parties go a code, a builtin exception's class name, file:line of the submitted function, the party, the
node and a reference number. The text of the message, causes, notes and locals stay in the owner's file of errors;
only a driver that acts for the owner gets the message with it. Errors whose text was composed from public facts
alone (policy, hashes, lost peers) are marked by `public` and cross whole.
"""

from __future__ import annotations

import builtins
import secrets
import traceback
from typing import TypeVar

import msgspec

from .. import errors
from ..errors import ArgotError, InputError, by_code
from .wire import Detail, Failure

E = TypeVar("E", bound=ArgotError)

# Codes whose messages are made of names and numbers that every party knows.
_PUBLIC_CODES = frozenset(
    ["PartyLost", "ProgramMismatch", "PermissionRefused", "MoveRefused", "LinkError", "FrameError", "UnsupportedError"]
)


class UserError(Exception):
    """Holds what the user's function raised, so that it is never taken for an error of the platform."""

    def __init__(self, error: BaseException, where: str) -> None:
        super().__init__()
        self.error, self.where = error, where


def public(error: E) -> E:
    """Mark an error whose message may be told to every party."""
    error.__dict__["_public"] = True
    return error


def reference() -> str:
    """A number under which the owner finds the details."""
    return secrets.token_hex(4)


def inner(error: BaseException) -> BaseException:
    """The error as it happened, without the mark of its kind."""
    return error.error if isinstance(error, UserError) else error


def crossing(error: BaseException, *, party: str, node: str, where: str, title: str, ref: str) -> Failure:
    """What others learn of an error at `party`."""
    if isinstance(error, UserError):
        code = _own_code(error.error) or "FunctionFailed"
        what, where = f"{title} raised {kind(error.error)} at {party}", error.where or where
    elif isinstance(error, ArgotError) and (error.__dict__.get("_public") or error.code in _PUBLIC_CODES):
        return Failure(
            code=error.code,
            what=error.what,
            wanted=error.wanted,
            todo=error.todo,
            party=error.party or party,
            node=error.node or node,
            where=error.where or where,
            reference=error.reference,
        )
    elif isinstance(error, InputError):  # at an owner's encoding or keys: one accepted bit
        code, what = "InputRefused", f"{party} refused its input to {node}"
    else:
        code, what = _own_code(error) or "PartyError", f"{party} stopped at {node} with {kind(error)}"
    return Failure(code=code, what=what, party=party, node=node, where=where, reference=ref)


def with_detail(failure: Failure, error: BaseException) -> Failure:
    """The same with the error in the owner's words, for a driver that acts for the owner."""
    found = inner(error)
    if isinstance(found, ArgotError):
        detail = Detail(found.code, found.what, found.wanted, found.todo)
    else:
        detail = Detail(failure.code, f"{failure.what}: {found}", None, None, full_text(found))
    return msgspec.structs.replace(failure, detail=detail)


def kind(error: BaseException) -> str:
    """The class of an exception if that says nothing about data: builtin, or one of ours."""
    name = type(error).__name__
    if getattr(builtins, name, None) is type(error) or _own_code(error):
        return name
    return "an exception"


def _own_code(error: BaseException) -> str | None:
    name = type(error).__name__
    return name if getattr(errors, name, None) is type(error) else None


def full_text(error: BaseException) -> str:
    """Traceback with causes and notes, without locals."""
    return "".join(traceback.format_exception(inner(error)))


def restore(failure: Failure) -> ArgotError:
    """The exception of a failure that came over the wire; it may cross again as it is."""
    told = failure.detail or Detail(failure.code, failure.what, failure.wanted, failure.todo)
    error = by_code(told.code)(
        told.what,
        wanted=told.wanted,
        todo=told.todo,
        party=failure.party,
        node=failure.node,
        where=failure.where,
        reference=failure.reference,
    )
    if told.text:
        error.add_note(told.text)
    return public(error)
