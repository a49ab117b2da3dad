"""Number 0 of every device of several parties: they agree on the device and on its keys, and measure the link."""

from __future__ import annotations

import time

from ...runtime.link import measure
from ...runtime.session import Session, agree_keys
from ..context import Context, Results
from ..wire import Usage

MEASURE_SECONDS = 120.0
"""For all exchanges of the measurement; a network of parties that can compute together takes less than one."""


def prepare(context: Context) -> None:
    """UnknownNameError or ConfigError for a protocol or a link that does not exist, or not for so many parties."""
    spec = context.node.device
    if spec.kind in ("mpc", "outside"):
        spec.form()
        if spec.link is not None:
            spec.link.checked()


def execute(context: Context) -> Results:
    """Keys that each entitled subset of parties makes for itself; they are kept in memory only. The note `link` tells
    the driver what the parties of an MPC device have measured; neither counts in the bytes of the usage."""
    spec, start = context.node.device, time.perf_counter()
    device_id = context.node.digest()
    keys = agree_keys(context.link, context.me, spec.parties, device_id)
    session = context.sessions[spec.name] = Session(
        context.link, context.me, spec.parties, device_id, keys, directory=context.directory / "kept"
    )
    session.network = spec.link
    if spec.kind == "mpc" and spec.link is None and len(spec.parties) > 1:
        session.network, _ = session.run(
            lambda party: measure(party, spec.parties), node=device_id, label=context.label, deadline=MEASURE_SECONDS
        )
    if session.network is not None:
        context.notes["link"] = (session.network.bandwidth, session.network.latency)
    context.usage = Usage(seconds=time.perf_counter() - start)
    return {}
