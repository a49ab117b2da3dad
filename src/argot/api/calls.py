"""`@argot.device(place)`: a function that runs at a party, or on a device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..agent.failures import public as public_error
from ..devices import plain
from ..devices.schema import Schema, declared, is_ranged
from ..errors import ConfigError, InputError, MoveRefused, PermissionRefused
from ..graph.graph import Call, Lowered, Ref
from .checking import check_call
from .handles import Handle
from .moves import bring
from .places import MpcDevice, Party
from .public import SMALL, PublicConstant, is_large
from .tracing import lower

F = TypeVar("F", bound=Callable[..., Any])


def device(place: Party | MpcDevice, returns: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Handle]]:
    """Decorator: calls of the function run at `place` and return a handle at once.

    Args:
        place: a party (plain Python there), or an MPC device (the function is traced by JAX, and computed on shares).
        returns: the schema of the result, known ahead: `argot.spec(shape, dtype)` or a tree of those. The agent
            checks it. At a party it may say ranges (`low=`, `high=`), which are public, and make what is computed on
            shares from it cheaper.

    Arguments are handles, or static Python values, also inside lists, tuples and dicts. They, the function and what
    it captures are frozen when it is called. An array of more than 64 elements must be wrapped in `argot.public`.

    A value of a party that is none of an MPC device's is shared among its members first, once for each handle.

    A call raises MoveRefused at once if a handle may not go to `place`. What the function raises, traced or run,
    is raised when the handle is used.
    """
    if not isinstance(place, Party | MpcDevice):
        raise ConfigError(f"device({place!r})", wanted="a party or a device of a federation")
    schema = None if returns is None else declared(returns)
    if isinstance(place, MpcDevice) and schema is not None and is_ranged(schema):
        raise InputError(
            f"a range declared of a result of {place.name}",
            wanted="ranges of what a party returns: nobody can check a secret",
            todo="argot.within(x, low, high) inside the function promises one",
        )

    def decorate(function: Callable[..., Any]) -> Callable[..., Handle]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Handle:
            if isinstance(place, Party):
                return _call_plain(place, function, schema, args, kwargs)
            return _call_mpc(place, function, schema, args, kwargs)

        call.place, call.returns = place, schema  # type: ignore[attr-defined]  # what `explain` asks for
        return call

    return decorate


def _call_plain(
    party: Party, function: Callable[..., Any], schema: Schema | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Handle:
    handles: list[Handle] = []
    arguments = slots((args, kwargs), handles, function)
    for handle in handles:
        _check_move_to_party(handle, party, function)
    arguments = _open_public(arguments)
    federation = party.federation
    if federation.client.code.get(party.name) == "any":
        name, body = title(function), b"P" + plain.freeze(function, arguments)
    else:
        name, body = _installed(function, party), b"I" + plain.pack_arguments(arguments)
    call = Call(party.spec, "call", name, lambda _: Lowered(body), handles, owners=[party.name], schema=schema)
    return federation.submit(call)[0]


def _call_mpc(
    place: MpcDevice, function: Callable[..., Any], schema: Schema | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Handle:
    handles: list[Handle] = []
    arguments = slots((args, kwargs), handles, function)
    handles = [_on_device(handle, place, function) for handle in handles]
    frozen = plain.freeze(function, arguments)

    def lowered(refs: list[Ref]) -> Lowered:
        return lower(frozen, title(function), refs, place.spec, schema, place.general)

    call = Call(
        place.spec,
        "run",
        title(function),
        lowered,
        handles,
        owners=[place.name],
        visibility="secret",
        needs_schemas=True,
    )
    handle = place.federation.submit(call)[0]
    if place.check == "plain":
        check_call(place, handles, handle)
    return handle


def slots(value: Any, handles: list[Any], function: Callable[..., Any], kinds: Any = Handle) -> Any:
    """The arguments with slots for handles (all `kinds`), which are collected. InputError for large raw arrays."""
    if isinstance(value, kinds):
        handles.append(value)
        return plain.Slot(len(handles) - 1)
    if is_large(value):
        raise InputError(
            f"{title(function)} was given an array of shape {tuple(value.shape)} as it is",
            wanted=f"a handle, or argot.public(x) for more than {SMALL} elements",
            todo="load private data in a function at its owner; wrap it in argot.public if everybody may know it",
        )
    if type(value) in (list, tuple):
        return type(value)(slots(item, handles, function, kinds) for item in value)
    if type(value) is dict:
        return {key: slots(item, handles, function, kinds) for key, item in value.items()}
    return value


def _open_public(value: Any) -> Any:
    if isinstance(value, PublicConstant):
        return value.array
    if type(value) in (list, tuple):
        return type(value)(map(_open_public, value))
    if type(value) is dict:
        return {key: _open_public(item) for key, item in value.items()}
    return value


def _check_move_to_party(handle: Handle, party: Party, function: Callable[..., Any]) -> None:
    product = handle.ref.product
    if product.visibility == "private" and product.owner == party.name:
        return
    raise MoveRefused(
        f"{title(function)} at {party.name} was given {handle!r} of {product.owner}",
        wanted=f"values of {party.name}",
        todo=f"argot.reveal(x, to={party.name}) if {party.name} may know it",
        party=product.owner,
    )


def _on_device(handle: Handle, place: MpcDevice, function: Callable[..., Any]) -> Handle:
    """The handle as the device takes it: of a party outside, a secret that is made of its value."""
    product = handle.ref.product
    if product.owner == place.name or (product.visibility == "private" and product.owner in place.spec.parties):
        return handle
    if product.visibility == "private" and handle.federation is place.federation:
        return bring(handle, place)
    raise MoveRefused(
        f"{title(function)} on {place.name} was given {handle!r} of {product.owner}",
        wanted="values of parties of this federation, or of this device",
        todo="reveal the value to a party first",
        party=product.owner,
    )


def _installed(function: Callable[..., Any], party: Party) -> str:
    name = plain.installed_name(function)
    if name is None:
        raise public_error(
            PermissionRefused(
                f"{party.name} runs no code from the driver (rule code); {title(function)} is not installed",
                wanted="a function at the top of an installed module",
                party=party.name,
                todo="move it into a package that is installed at the party and allowed by its configuration",
            )
        )
    return name


def title(function: Callable[..., Any]) -> str:
    """What reports call it."""
    return getattr(function, "__name__", type(function).__name__)
