"""Somebody between two agents while a protocol runs: over TLS on loopback, with the agents' own links and sessions.

The transport does not look at what it carries: one operation of each protocol is enough. Every change at every record
is in `crates/link/tests/wire.rs`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from forms import forms
from tampering import elements, numbers
from test_protocols import cases, opened, results

from argot._core import link
from argot.errors import PartyLost
from argot.keys import Identity
from argot.mpc.plain import Plain
from argot.runtime.session import Session, agree_keys
from argot.runtime.world import World

FORMS = forms(hiding=True)
OPERATION = "mul_trunc"


class Proxy:
    """Passes a connection on, record by record; `change` may return other bytes in the place of one."""

    def __init__(self, target: str) -> None:
        self.host, port = target.rsplit(":", 1)
        self.port = int(port)
        self.change: Callable[[bytes], bytes] = lambda record: record
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection((self.host, self.port))
                self.connections += 1
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target, source.makefile("rb") as stream:
            while len(head := stream.read(5)) == 5:
                target.sendall(self.change(head + stream.read(int.from_bytes(head[3:], "big"))))
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.listener.close()


def flipped(record: bytes) -> bytes:
    """A bit of the body."""
    return record[:-1] + bytes([record[-1] ^ 1])


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each returns or raises."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


@contextmanager
def members(n: int) -> Iterator[tuple[list[Session], Proxy]]:
    """Sessions of n agents, with a proxy between the first two."""
    names = [f"party{rank}" for rank in range(n)]
    identities = [Identity.generate(name) for name in names]
    links = [
        link.Link(name, identity.certificate, identity.key, "127.0.0.1:0", lost_after=1.5)
        for name, identity in zip(names, identities, strict=True)
    ]
    proxy = Proxy(links[1].address)
    for one in links:
        for other, identity in zip(links, identities, strict=True):
            if one is not other:
                addresses = {(0, 1): proxy.address, (1, 0): None}
                place = links.index(one), links.index(other)
                one.add_peer(other.name, identity.spki_sha256, addresses.get(place, other.address))
    device = os.urandom(16)
    keys = at_once(*(lambda one=one: agree_keys(one, one.name, names, device) for one in links))
    sessions = [Session(one, one.name, names, device, key) for one, key in zip(links, keys, strict=True)]
    try:
        yield sessions, proxy
    finally:
        for session in sessions:
            session.close()
            session.link.close()
        proxy.close()


def run(sessions: list[Session], form: Any, before: Callable[[], None]) -> list[Any]:
    """What each member finds; `before` is called at the first when all have shared their inputs."""

    async def program(party: Any) -> Any:
        p = form(party)
        case = await cases(24, 5, 6)[OPERATION](p)
        if party.rank == 0:
            before()
        return await opened(p, await getattr(p, OPERATION)(*case.args))

    label = os.urandom(8)
    with elements():
        found = at_once(*(lambda s=s: s.run(program, node=b"n" * 32, label=label, deadline=20) for s in sessions))
    return [one[0] if isinstance(one, tuple) else one for one in found]


def expected() -> np.ndarray:
    with elements():
        return results(World(Plain, n=1), OPERATION, cases(24, 5, 6)[OPERATION])


@pytest.mark.parametrize("form", FORMS)
def test_a_record_that_is_changed_once_changes_nothing(form: Any) -> None:
    with members(form.parties) as (sessions, proxy):
        changed: list[bytes] = []

        def once(record: bytes) -> bytes:
            if changed:
                return record
            changed.append(record)
            return flipped(record)

        found = run(sessions, form, lambda: setattr(proxy, "change", once))
        for value in found:
            assert (np.abs(numbers(value) - expected()) <= 1).all()
        assert changed and proxy.connections == 2


@pytest.mark.parametrize("form", FORMS)
def test_where_all_is_changed_the_members_are_lost_to_each_other(form: Any) -> None:
    with members(form.parties) as (sessions, proxy):
        began = time.monotonic()
        found = run(sessions, form, lambda: setattr(proxy, "change", flipped))
        assert time.monotonic() - began < 10
        assert [type(error) for error in found] == [PartyLost] * form.parties, found
        assert {error.party for error in found} <= {"party0", "party1"}
        assert proxy.connections > 2
