"""Identities: what is written, with which rights, and what is refused."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from argot.errors import ConfigError, UnknownNameError
from argot.keys import ALGORITHMS, Identity


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_saved_identity_is_read_back_and_only_its_owner_can_read_it(tmp_path: Path, algorithm: str) -> None:
    made = Identity.generate("alice", algorithm)
    made.save(tmp_path / "here")
    assert Identity.load(tmp_path / "here") == made
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in (tmp_path / "here").iterdir())
    assert {file.name for file in (tmp_path / "here").iterdir()} == {"key.pem", "cert.pem"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_fingerprint_is_that_of_openssl(tmp_path: Path, algorithm: str) -> None:
    made = Identity.at(tmp_path, "alice", algorithm)
    pem = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "cert.pem", "-noout", "-pubkey"], capture_output=True, check=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "der"], input=pem, capture_output=True, check=True
    ).stdout
    assert made.spki_sha256 == hashlib.sha256(der).digest()
    assert made.fingerprint == "sha256:" + hashlib.sha256(der).hexdigest()


def test_fingerprints_are_read_as_people_write_them() -> None:
    made = Identity.generate("alice")
    digits = made.spki_sha256.hex().upper()
    spaced = " ".join(digits[i : i + 4] for i in range(0, 64, 4))
    colons = ":".join(digits[i : i + 2] for i in range(0, 64, 2))
    for text in (made.fingerprint, digits, spaced, colons, f" {made.fingerprint}\n"):
        assert Identity.parse(text) == made.spki_sha256
    for text in ("", "sha256:", digits[:-1], digits[:-2], digits + "00", "sha512:" + digits, "z" * 64):
        with pytest.raises(ConfigError, match="not a fingerprint"):
            Identity.parse(text)


def test_the_key_does_not_show_and_is_not_replaced(tmp_path: Path) -> None:
    made = Identity.at(tmp_path, "alice")
    assert made.key.hex() not in repr(made) and repr(made.key) not in repr(made)
    assert Identity.at(tmp_path, "alice") == made
    with pytest.raises(ConfigError, match="exists"):
        Identity.generate("alice").save(tmp_path)
    assert Identity.load(tmp_path) == made


def test_the_secret_is_the_keys_own() -> None:
    one, other = Identity.generate("alice"), Identity.generate("alice")
    assert len(one.secret) == 32 and one.secret == one.secret != other.secret


def test_bad_identities_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="rsa"):
        Identity.generate("alice", "rsa")
    with pytest.raises(ConfigError, match="cannot read"):
        Identity.load(tmp_path / "nowhere")
    Identity.at(tmp_path, "alice")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    key.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 640"):
        Identity.load(tmp_path)
    key.chmod(0o600)
    Identity.at(tmp_path / "other", "bob")
    whole = certificate.read_bytes()
    certificate.write_bytes((tmp_path / "other" / "cert.pem").read_bytes())
    with pytest.raises(ConfigError, match="not the certificate"):
        Identity.load(tmp_path)
    certificate.write_bytes(whole[:200])
    with pytest.raises(ConfigError, match="damaged"):
        Identity.load(tmp_path)
