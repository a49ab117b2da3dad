"""Federations inside one process, over links without sockets."""

from __future__ import annotations

import threading
from pathlib import Path

from argot.agent.policy import Configured, Open
from argot.agent.server import Agent
from argot.api.client import Client
from argot.api.federation import Federation
from argot.config import AgentConfig, User

from .loopback import Network


class World:
    """Agents as threads, and a driver.

    `configs` gives deployed agents; without it they are as `argot.local` starts them.
    """

    def __init__(
        self,
        directory: Path,
        names: tuple[str, ...],
        configs: dict[str, AgentConfig] | None = None,
        party: str | None = None,
    ) -> None:
        self.network, self.directory, self.names = Network(), directory, names
        self.embedded = configs is None
        self.agents: dict[str, Agent] = {}
        self.threads: list[threading.Thread] = []
        for name in names:
            self.start_agent(name, (configs or {}).get(name), party)
        self.link = self.network.link("driver")
        self.client = Client(self.link, names, self.embedded)
        self.client.hello(10.0)
        self.federation = Federation(self.client, names, self.embedded, self.stop)

    def start_agent(self, name: str, config: AgentConfig | None, party: str | None) -> None:
        home = self.directory / name
        home.mkdir(exist_ok=True)
        user = None if party is None else User(fingerprint="", party=party)
        if config is not None and "driver" in config.users:
            user = config.users["driver"]
        agent = Agent(
            name,
            self.network.link(name),
            home,
            bytes([len(name)] * 32),
            (lambda journal: Open()) if config is None else (lambda journal: Configured(config, journal)),
            {"driver": user},
            config,
            self.embedded,
        )
        self.agents[name] = agent
        thread = threading.Thread(target=agent.run, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def stop(self) -> None:
        for agent in self.agents.values():
            agent.stop()

    def __enter__(self) -> Federation:
        return self.federation

    def __exit__(self, *_: object) -> None:
        self.federation.close()
        for thread in self.threads:
            thread.join(5)
