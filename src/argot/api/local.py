"""`argot.local("alice", "bob", "carol")`: one agent process a party on this machine, and a driver trusted by all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agent.embedded import DRIVER
from ..agent.transport import open_link
from ..config import Limits, check_name
from ..errors import ConfigError, LinkError
from ..keys import Identity
from .client import Client
from .federation import Federation

READY_SECONDS = 30.0


@dataclass
class _Agent:
    name: str
    process: subprocess.Popen[bytes]
    report: int
    address: str = ""
    fingerprint: str = ""


def local(*names: str, directory: str | Path | None = None) -> Federation:
    """Start an agent for every name and connect to all of them.

    Args:
        names: of the parties.
        directory: where the agents keep logs, keys and saved models, a folder each; a temporary one by default,
            removed at the end. With a directory of your own, the parties keep their keys, and saved secrets can be
            loaded again later.

    Returns: a federation; use it in a `with` statement, or close it.

    Raises:
        ConfigError: names that are none, or twice the same.
        LinkError: an agent did not start.

    The agents run the real protocols over TLS. The driver has started them and acts for every party: it is trusted
    by all, which the first line of the report says.
    """
    _check_names(names)
    home = Path(tempfile.mkdtemp(prefix="argot-")) if directory is None else Path(directory)
    agents: list[_Agent] = []
    link: Any = None
    client = None
    try:
        identity = Identity.generate(DRIVER)
        link = open_link(identity, DRIVER, None, Limits())
        for name in names:
            agents.append(_start(name, home / name, identity.fingerprint))
        for agent in agents:
            _read_report(agent, home)
            link.add_peer(agent.name, Identity.parse(agent.fingerprint), agent.address)
        for agent in agents:
            _tell(agent, {a.name: [a.fingerprint, a.address] for a in agents})
        client = Client(link, names, embedded=True)
        client.hello(READY_SECONDS)
    except BaseException:
        if client is not None:
            client.abandon()
        _stop(agents, link, home if directory is None else None, grace=0.0)
        raise
    stop = _Stop(agents, link, home if directory is None else None)
    for agent in agents:
        threading.Thread(target=_watch, args=(agent, client, stop), daemon=True).start()
    return Federation(client, names, embedded=True, shut_down=stop)


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        check_name(name)
    if not names or len(set(names)) != len(names) or DRIVER in names:
        raise ConfigError(
            f"parties {', '.join(names) or '(none)'}", wanted=f"one or more distinct names, none of them {DRIVER!r}"
        )


def _start(name: str, directory: Path, driver: str) -> _Agent:
    directory.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    root = str(Path(__file__).parents[2])
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "argot.agent", "--embedded", str(write)],
        stdin=subprocess.PIPE,
        pass_fds=[write],
        start_new_session=True,
        env=environment,
    )
    os.close(write)
    agent = _Agent(name, process, read)
    _tell(agent, {"name": name, "directory": str(directory.resolve()), "driver": driver, "path": sys.path})
    return agent


def _tell(agent: _Agent, message: dict[str, Any]) -> None:
    """One line to the agent's input."""
    assert agent.process.stdin is not None
    try:
        agent.process.stdin.write(json.dumps(message).encode() + b"\n")
        agent.process.stdin.flush()
    except OSError as error:
        raise LinkError(f"the agent of {agent.name} ended while it started", party=agent.name) from error


def _read_report(agent: _Agent, home: Path) -> None:
    """Where it listens; the end of the pipe without it means that it has failed."""
    timer = threading.Timer(READY_SECONDS, agent.process.kill)
    timer.daemon = True
    timer.start()
    with os.fdopen(agent.report, "rb") as pipe:
        said = pipe.read()
    timer.cancel()
    if not said:
        raise LinkError(
            f"the agent of {agent.name} did not start", todo=f"see its output, and {home / agent.name}/errors.log"
        )
    told = json.loads(said)
    agent.address, agent.fingerprint = told["address"], told["fingerprint"]


class _Stop:
    """Ends the agents, once."""

    def __init__(self, agents: list[_Agent], link: Any, temporary: Path | None) -> None:
        self.agents, self.link, self.temporary = agents, link, temporary
        self.begun = False

    def __call__(self) -> None:
        self.begun = True
        _stop(self.agents, self.link, self.temporary, grace=2.0)


def _stop(agents: list[_Agent], link: Any, temporary: Path | None, grace: float) -> None:
    for agent in agents:
        if agent.process.stdin is not None:
            try:
                agent.process.stdin.close()
            except OSError:
                continue
    for agent in agents:
        try:
            agent.process.wait(grace)
        except subprocess.TimeoutExpired:
            agent.process.kill()
            agent.process.wait()
    if link is not None:
        link.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


def _watch(agent: _Agent, client: Client, stop: _Stop) -> None:
    """An agent process that ends by itself is a lost party; no need to wait for the link to say so."""
    agent.process.wait()
    if not stop.begun:
        client.report_lost(agent.name)
