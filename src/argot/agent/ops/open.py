"""Number 0 of every device of several parties: they agree on the device and on its keys."""

from __future__ import annotations

import time

from ...devices import mpc
from ...runtime.session import Session, agree_keys
from ..context import Context, Results
from ..wire import Usage


def prepare(context: Context) -> None:
    """UnknownNameError or ConfigError for a protocol that does not exist, or not for so many parties."""
    spec = context.node.device
    if spec.kind == "mpc":
        mpc.check(spec.protocol, len(spec.parties), spec.ring, spec.fraction_bits)


def execute(context: Context) -> Results:
    """Keys that each entitled subset of parties makes for itself; they are kept in memory only."""
    spec, start = context.node.device, time.perf_counter()
    device_id = context.node.digest()
    keys = agree_keys(context.link, context.me, spec.parties, device_id)
    context.sessions[spec.name] = Session(context.link, context.me, spec.parties, device_id, keys)
    context.usage = Usage(seconds=time.perf_counter() - start)
    return {}
