"""An agent that runs by itself, from its configuration file."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ..config import AgentConfig, check_address, check_name, load
from ..errors import ConfigError
from ..keys import Identity
from . import children
from .policy import Configured
from .server import Agent, prepare_process
from .transport import open_link


def start(path: str | Path) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ConfigError, UnknownNameError: the file cannot be used.
        AddressInUse: the port is taken.
    """
    prepare_process()
    config = load(path, AgentConfig)
    check_config(config)
    directory = (Path(path).parent / config.directory).resolve()
    identity = Identity.load(directory)
    link = open_link(identity, config.name, config.listen, config.limits)
    for name, peer in config.peers.items():
        link.add_peer(name, Identity.parse(peer.fingerprint), peer.address)
    for name, user in config.users.items():
        link.add_peer(name, Identity.parse(user.fingerprint), None)
    agent = Agent(
        config.name,
        link,
        directory,
        identity.secret,
        lambda journal: Configured(config, journal),
        dict(config.users),
        config,
    )
    children.watch()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    print(f"{config.name} listens at {link.address}, fingerprint {identity.fingerprint}", flush=True)
    try:
        agent.run()
    finally:
        link.close()
        sys.stdout.flush()


def check_config(config: AgentConfig) -> None:
    """What types cannot say: names, an address, and that nobody is both peer and user."""
    check_name(config.name)
    check_address(config.listen)
    for name in (*config.peers, *config.users):
        check_name(name, "peer or user")
    for name in config.tables:  # a dot would end the table's name in the origin of a column
        check_name(name, "table")
    both = sorted(set(config.peers) & set(config.users) | {config.name} & {*config.peers, *config.users})
    if both:
        raise ConfigError(f"{', '.join(both)} appears twice among the agent, its peers and its users")
