"""An agent that `argot.local` starts: told by pipe whom to trust, and gone when its driver is.

    driver -> agent, standard input:   one line: name, directory, driver's fingerprint; later one line: the peers
    agent -> driver, a pipe:           one line: address and fingerprint of the key it has made

The input stays open as long as the driver lives; its end ends the agent. So does a new parent process, or the loss
of the driver's link.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from ..config import Limits
from ..keys import Identity
from . import children
from .policy import Open
from .server import Agent, prepare_process
from .transport import open_link

DRIVER = "driver"


def main(report_fd: int) -> None:
    """Run until the driver is gone."""
    prepare_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = os.fdopen(os.dup(0), "r")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # functions of the user that read input find its end
    start = json.loads(source.readline() or "{}")
    if not start:
        return
    sys.path[:] = [*sys.path, *(entry for entry in start["path"] if entry not in sys.path)]
    directory = Path(start["directory"])
    identity = Identity.at(directory, start["name"])
    link = open_link(identity, start["name"], "127.0.0.1:0", Limits())
    with os.fdopen(report_fd, "w") as report:
        json.dump({"address": link.address, "fingerprint": identity.fingerprint}, report)
    _add_peers(link, start["name"], {DRIVER: [start["driver"], None]})
    agent = Agent(
        start["name"], link, directory, identity.secret, lambda journal: Open(), {DRIVER: None}, embedded=True
    )
    children.watch()
    threading.Thread(target=_follow, args=(agent, link, source), daemon=True).start()
    threading.Thread(target=_watch_parent, args=(os.getppid(), agent), daemon=True).start()
    try:
        agent.run()
    finally:
        link.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # threads of the user's functions may still run


def _follow(agent: Agent, link: Any, source: IO[str]) -> None:
    """Peers as the driver names them; the end of the pipe ends the agent."""
    for line in source:
        _add_peers(link, agent.name, json.loads(line))
    _end(agent)


def _watch_parent(parent: int, agent: Agent) -> None:
    """The pipe stays open if somebody forked from the driver still holds it; the parent changes all the same."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _end(agent)


def _end(agent: Agent) -> None:
    agent.stop()
    time.sleep(1.0)
    os._exit(1)


def _add_peers(link: Any, me: str, peers: dict[str, Any]) -> None:
    for name, (fingerprint, address) in peers.items():
        if name != me:
            link.add_peer(name, Identity.parse(fingerprint), address)
