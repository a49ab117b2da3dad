"""Configuration files, validated before anything else happens.

`alice.toml` configures one agent, `federation.toml` one driver. An unknown key is an error that lists the keys
there are; a value of the wrong type names the key. Relative paths are relative to the file.
"""

from __future__ import annotations

import tomllib
import types
import typing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from .errors import ConfigError, UnknownNameError

T = TypeVar("T")


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another agent: its pinned fingerprint, and where it listens (absent: it dials us)."""

    fingerprint: str
    address: str | None = None


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person or service that may drive this agent, pinned by fingerprint.

    `party` is the party the user belongs to. Only a user of this agent's own party acts for it: gets its values
    and the messages of its errors. `functions` narrows the agent's list for this user. `saved` are patterns of names
    under which this user may keep values here, load and delete them.
    """

    fingerprint: str
    party: str
    functions: tuple[str, ...] | None = None
    saved: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be revealed to `to`: values that come only from `of` (patterns such as "alice:patients.*")."""

    to: tuple[str, ...]
    of: tuple[str, ...] = ("*",)
    max_elements: int | None = None

    def allows(self, recipient: str, origin: str, elements: int) -> bool:
        return (
            recipient in self.to
            and any(fnmatchcase(origin, pattern) for pattern in self.of)
            and (self.max_elements is None or elements <= self.max_elements)
        )


class TableSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table this agent offers by name.

    `columns` hides all others; `devices` are patterns of device descriptions, such as "aby3(alice, bob, *)", that
    may use its columns, and `column_devices` the same for single columns.
    """

    path: str
    columns: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("*",)
    column_devices: dict[str, tuple[str, ...]] = {}


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this agent agrees to. Everything that is not listed is refused."""

    devices: tuple[str, ...] = ()
    reveal: tuple[Rule, ...] = ()
    psi_with: tuple[str, ...] = ()
    psi_max_rows: int = 1_000_000
    psi_runs_per_table: int = 3


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes and times. `lost_after` is how long a peer may be away before it counts as lost."""

    keep_alive: float = 1.0
    lost_after: float = 8.0
    functions: int = 4
    jobs_per_user: int = 4


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agent. `functions` are patterns of installed functions, "package.module:name"."""

    name: str
    listen: str = "127.0.0.1:0"
    directory: str = "."
    code: Literal["installed"] = "installed"
    functions: tuple[str, ...] = ()
    peers: dict[str, Peer] = {}
    users: dict[str, User] = {}
    tables: dict[str, TableSource] = {}
    policy: Policy = Policy()
    limits: Limits = Limits()


class FederationConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One driver: who it is, for which party it acts, and the agents it talks to."""

    user: str
    party: str
    agents: dict[str, Peer]
    directory: str = "."
    limits: Limits = Limits()


def load(path: str | Path, kind: type[T]) -> T:
    """Read and validate a TOML file.

    Raises:
        ConfigError: no such file, not TOML, or a value of the wrong type (names the key).
        UnknownNameError: a key that does not exist (lists those that do).
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"no file {file}", wanted="a TOML file", todo="make one with `argot agent init`")
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    return parse(data, kind, str(file))


def parse(data: dict[str, Any], kind: type[T], where: str) -> T:
    """Validate a table of settings as `load` does; `where` goes into the messages."""
    _refuse_unknown(data, kind, where, "")
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _refuse_unknown(data: Any, kind: Any, where: str, prefix: str) -> None:
    """Walk settings and types side by side; complain about the first key that has no field."""
    kind = _without_none(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(data, dict):
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        for key, value in data.items():
            if key not in fields:
                place = f" in [{prefix.rstrip('.')}]" if prefix else ""
                raise UnknownNameError(
                    f"{where}: unknown key {key!r}{place}", wanted=f"one of {', '.join(sorted(fields))}"
                )
            _refuse_unknown(value, fields[key], where, f"{prefix}{key}.")
        return
    arguments = typing.get_args(kind)
    if isinstance(data, dict) and typing.get_origin(kind) is dict:
        for key, value in data.items():
            _refuse_unknown(value, arguments[1], where, f"{prefix}{key}.")
    if isinstance(data, list) and arguments:
        for value in data:
            _refuse_unknown(value, arguments[0], where, prefix)


def _without_none(kind: Any) -> Any:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def check_name(name: str, what: str = "party") -> str:
    """A name of letters, digits, `-` and `_`, at most 32; ConfigError otherwise."""
    if not name or len(name) > 32 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise ConfigError(f"{name!r} is not a name of a {what}", wanted="1 to 32 letters, digits, '-' or '_'")
    return name


def check_address(address: str) -> str:
    """ "host:port"; ConfigError otherwise."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{address!r} is no address to listen at", wanted="host:port, such as 127.0.0.1:9000")
    return address
