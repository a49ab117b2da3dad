"""Three agents started by hand, so to speak: a directory, a key and a configuration each; and users' directories."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from argot.agent.setup import init_agent, init_user
from argot.keys import Identity

NAMES = ("alice", "bob", "carol")
CLI = [sys.executable, "-m", "argot"]


@dataclass
class Site:
    """Directories of all, under one folder. `policies[name]` is TOML text after the generated parts."""

    folder: Path
    policies: dict[str, str]
    users: dict[str, str] = field(default_factory=lambda: {"ana": "alice"})
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.keys = {name: init_agent(name, self.folder / name, "127.0.0.1:0")[0] for name in NAMES}
        self.user_keys = {user: init_user(user, party, self.folder / user)[0] for user, party in self.users.items()}

    def start(self, only: tuple[str, ...] = NAMES) -> None:
        """Agents one after the other: each dials those that listen already."""
        for name in only:
            self.write_agent(name)
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "argot.agent", "--config", str(self.folder / name / f"{name}.toml")],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            line = self.processes[name].stdout.readline()
            assert "listens at" in line, line
            self.addresses[name] = line.split("listens at ")[1].split(",")[0]

    def write_agent(self, name: str) -> None:
        lines = [f'name = "{name}"', f'listen = "{self.addresses.get(name, "127.0.0.1:0")}"']
        lines.append('functions = ["argot.frame.owner:[msv]*", "argot.preprocessing.*", "argot.stats.*"]')
        for peer in NAMES:
            if peer != name:
                lines += [f"[peers.{peer}]", f'fingerprint = "{self.keys[peer].fingerprint}"']
                lines += [f'address = "{self.addresses[peer]}"'] if peer in self.addresses else []
        for user, party in self.users.items():
            lines += [f"[users.{user}]", f'fingerprint = "{self.user_keys[user].fingerprint}"', f'party = "{party}"']
        (self.folder / name / f"{name}.toml").write_text("\n".join([*lines, self.policies.get(name, "")]))

    def federation(self, user: str = "ana", **changes: str) -> Path:
        """The user's federation.toml; `changes` replaces fingerprints of agents."""
        lines = [f'user = "{user}"', f'party = "{self.users.get(user, "alice")}"']
        for name in NAMES:
            print_ = changes.get(name, self.keys[name].fingerprint)
            lines += [f"[agents.{name}]", f'address = "{self.addresses[name]}"', f'fingerprint = "{print_}"']
        path = self.folder / user / "federation.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines))
        return path

    def stranger(self, name: str = "ana") -> Path:
        """A directory with a key that nobody has pinned, under a user's name."""
        folder = self.folder / "stranger"
        folder.mkdir()
        Identity.generate(name).save(folder)
        text = self.federation(name).read_text()
        (folder / "federation.toml").write_text(text)
        return folder / "federation.toml"

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
