"""One process a party over TLS: kill -9 of one in the middle of a run."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection

from runtime_toy import Toy, words

from argot._core import link
from argot.errors import ArgotError
from argot.keys import Identity
from argot.runtime.session import Session, agree_keys

NAMES = ("alice", "bob", "carol")
LOST_AFTER = 1.0


async def endless(p):
    share = await p.share(words(4) if p.party.rank == 0 else None, 0, (4,))
    while True:
        share = await p.mul(share, share)


def agent(name: str, pipe: Connection) -> None:
    """Connect, start the endless run, report how it ended."""
    identity = Identity.generate(name)
    with link.Link(name, identity.certificate, identity.key, "127.0.0.1:0", lost_after=LOST_AFTER) as mine:
        pipe.send((name, identity.spki_sha256, mine.address))
        for peer, pin, address in pipe.recv():
            if peer != name:
                mine.add_peer(peer, pin, address)
        session = Session(mine, name, NAMES, b"device", agree_keys(mine, name, NAMES, b"device"))
        pipe.send("running")
        try:
            session.run(lambda party: endless(Toy(party)), node=bytes(32), label=b"1", deadline=30)
        except ArgotError as error:
            pipe.send((error.code, error.party))
        session.close()


def test_a_killed_party_is_named_by_the_others():
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for name in NAMES:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=agent, args=(name, theirs), daemon=True))
        processes[-1].start()
        pipes.append(ours)
    try:
        peers = [receive(pipe) for pipe in pipes]
        for pipe in pipes:
            pipe.send(peers)
        assert [receive(pipe) for pipe in pipes] == ["running"] * 3
        time.sleep(0.2)  # some thousand rounds
        processes[2].kill()
        began = time.monotonic()
        assert [receive(pipe) for pipe in pipes[:2]] == [("PartyLost", "carol")] * 2
        assert time.monotonic() - began < LOST_AFTER + 2
    finally:
        for process in processes:
            process.kill()
            process.join(10)


def receive(pipe: Connection):
    assert pipe.poll(20), "no answer"
    return pipe.recv()
