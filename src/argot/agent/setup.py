"""What `argot agent init` and `argot user init` make: a key, and a configuration file to fill in."""

from __future__ import annotations

from pathlib import Path

from ..config import check_address, check_name
from ..errors import ConfigError
from ..keys import Identity

_AGENT = """\
# One party's agent: argot agent start --config {file}
# Everything that is not allowed here is refused. docs/guides/deploy.md explains every key.
name = "{name}"
listen = "{listen}"

# Installed functions that users may call here, as patterns of "package.module:name". A user chooses the arguments:
# never allow a function that takes a path or runs a command.
functions = [
    "argot.frame.owner:matrix",
    "argot.frame.owner:select",
    "argot.frame.owner:split",
    "argot.frame.owner:vector",
    "argot.preprocessing.scaler:*",
    "argot.stats.ranking:*",
]

# The other agents. Compare fingerprints over the telephone: argot agent show
# [peers.bob]
# fingerprint = "sha256:..."
# address = "bob.example:9000"          # leave it out if bob dials us

# Who may drive jobs here. Only users of this party get its values and the messages of its errors.
# [users.ana]
# fingerprint = "sha256:..."
# party = "{name}"
# saved = ["*"]                         # names under which this user may keep, load and delete values here

# Tables this party offers by name.
# [tables.patients]
# path = "patients.csv"
# columns = ["id", "age", "income"]     # all others stay hidden
# text = ["id"]
# devices = ["aby3(*)", "psi(*)"]

[policy]
devices = []        # such as "aby3(alice, bob, carol)", "psi(alice, bob, *)"
psi_with = []       # owners with whom tables may be intersected
psi_max_rows = 1000000
psi_runs_per_table = 3

# [[policy.reveal]]
# to = ["{name}"]
# of = ["*"]                            # or "{name}:patients.age", "bob:*"
"""

_USER = """\
# A driver: argot.connect("{file}")
user = "{name}"
party = "{party}"       # for which this user acts

# The agents, and the fingerprints that they print: argot agent show
# [agents.{party}]
# address = "127.0.0.1:9000"
# fingerprint = "sha256:..."
"""


def init_agent(name: str, directory: Path, listen: str) -> tuple[Identity, Path]:
    """A key and `NAME.toml` in a directory. ConfigError if there is one already."""
    check_name(name)
    check_address(listen)
    return _init(name, directory, f"{name}.toml", _AGENT.format(name=name, listen=listen, file=f"{name}.toml"))


def init_user(name: str, party: str, directory: Path) -> tuple[Identity, Path]:
    """A key and `federation.toml` in a directory. ConfigError if there is one already."""
    check_name(name, "user")
    check_name(party)
    text = _USER.format(name=name, party=party, file="federation.toml")
    return _init(name, directory, "federation.toml", text)


def _init(name: str, directory: Path, file: str, text: str) -> tuple[Identity, Path]:
    path = directory / file
    if path.exists():
        raise ConfigError(f"{path} exists", todo="choose another directory, or move it away")
    identity = Identity.generate(name)
    identity.save(directory)
    path.write_text(text, encoding="utf-8")
    return identity, path
