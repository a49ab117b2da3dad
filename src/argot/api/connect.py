"""`argot.connect("federation.toml")`: a driver of agents that were started elsewhere."""

from __future__ import annotations

from pathlib import Path

from ..agent.transport import open_link
from ..config import FederationConfig, check_name, load
from ..errors import ConfigError
from ..keys import Identity
from .client import Client
from .federation import Federation

READY_SECONDS = 15.0


def connect(path: str | Path, timeout: float = READY_SECONDS) -> Federation:
    """Connect to deployed agents as a user of one party.

    Args:
        path: a file as `config.FederationConfig` describes it; the user's key lies in its `directory`.
        timeout: seconds to wait for all agents.

    Raises:
        ConfigError, UnknownNameError: the file or the key cannot be used.
        PeerRejected: an agent does not know this user's key, or is not the one that the file pins.
        LinkError: an agent does not answer (names it).

    Every agent follows its own policy; what one refuses raises PermissionRefused, which names party and rule.
    """
    config = load(path, FederationConfig)
    check_name(config.user, "user")
    if config.party not in config.agents:
        raise ConfigError(
            f"{path}: the user's party {config.party!r} is no agent", wanted=f"one of {', '.join(config.agents)}"
        )
    identity = Identity.load((Path(path).parent / config.directory).resolve())
    link = open_link(identity, config.user, None, config.limits)
    try:
        for name, agent in config.agents.items():
            check_name(name)
            if agent.address is None:
                raise ConfigError(f"{path}: no address of {name}", wanted='address = "host:port"')
            link.add_peer(name, Identity.parse(agent.fingerprint), agent.address)
        client = Client(link, tuple(config.agents), embedded=False)
        try:
            client.hello(timeout)
        except BaseException:
            client.abandon()
            raise
    except BaseException:
        link.close()
        raise
    return Federation(client, tuple(config.agents), embedded=False, shut_down=link.close)
