"""Values at rest: each party keeps its own share of a secret, or its own value, encrypted under a key made from its
identity key.

A file is `nonce (12) | AES-256-GCM`, with the name as associated data. Inside are the shares and what is needed to
use them again: the device, the schema, from whose columns they come, and the `set` they belong to, which all
parties' files of one save have in common, so that shares of different saves are never mixed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from argot._core import prf

from ..devices.schema import Schema
from ..errors import ConfigError, InputError, UnknownNameError
from .failures import public


class Header(msgspec.Struct, frozen=True):
    """What a saved secret is; the driver that loads it learns this."""

    set: bytes
    parties: tuple[str, ...]
    protocol: str
    ring: int
    fraction_bits: int
    schema: Schema
    leaves: tuple[int, ...]  # per leaf: rank of its owner, -1 public, -2 secret
    origins: tuple[str, ...]


class File(msgspec.Struct, frozen=True):
    """`data` are shares in the form of `devices.mpc.to_bytes`, or a private value in that of `codec`."""

    header: Header
    data: bytes


Kind = Literal["share", "value"]


def _path(directory: Path, kind: Kind, name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise public(ConfigError(f"{name!r} is not a name to save under", wanted="letters, digits, '.', '_' and '-'"))
    return directory / "saved" / f"{name}.{kind}"


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(bytes(prf.derive_key("argot saved secrets 1", secret)))


def write(directory: Path, secret: bytes, kind: Kind, name: str, file: File) -> None:
    """Replace what was saved under this name, all of it or nothing."""
    path = _path(directory, kind, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    nonce = os.urandom(12)
    sealed = nonce + _cipher(secret).encrypt(nonce, msgspec.msgpack.encode(file), path.name.encode())
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(sealed)
    part.chmod(0o600)
    part.replace(path)


def read(directory: Path, secret: bytes, kind: Kind, name: str) -> File:
    """UnknownNameError if nothing was saved; InputError if the file was changed or is another party's."""
    path = _path(directory, kind, name)
    if not path.is_file():
        # Which other names there are may concern other users.
        raise public(UnknownNameError(f"nothing was saved under {name!r}", wanted="a name that save was called with"))
    sealed = path.read_bytes()
    try:
        return msgspec.msgpack.decode(_cipher(secret).decrypt(sealed[:12], sealed[12:], path.name.encode()), type=File)
    except (InvalidTag, ValueError) as error:
        raise public(
            InputError(f"what was saved under {name!r} cannot be opened", wanted="this party's own, unchanged file")
        ) from error


def delete(directory: Path, kind: Kind, name: str) -> None:
    """Forget what was saved under this name, if anything was."""
    _path(directory, kind, name).unlink(missing_ok=True)
