"""Who an agent is: a key, a certificate that it signed itself, and the fingerprint by which others pin it.

An identity directory holds `key.pem` (PKCS#8, readable by its owner only) and `cert.pem`. The certificate only carries
the key into TLS: names, chains and dates in it are not trusted, the pinned SHA-256 of the public key is.

    identity = Identity.at(directory, "alice")      # made on the first call
    identity.fingerprint                            # "sha256:9f86d0...", for configuration files and people
    link.add_peer("bob", Identity.parse(text))      # 32 bytes
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from argot._core import prf

from .errors import ConfigError, UnknownNameError

KEY_FILE, CERTIFICATE_FILE = "key.pem", "cert.pem"
PREFIX = "sha256:"
ALGORITHMS = ("ed25519", "p256")

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """One agent's certificate and private key.

    Attributes:
        certificate: the self-signed X.509 certificate, DER.
        key: the private key, PKCS#8, DER, not encrypted.
        spki_sha256: SHA-256 of the public key (SubjectPublicKeyInfo), 32 bytes.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    spki_sha256: bytes

    @property
    def fingerprint(self) -> str:
        """`spki_sha256` as text: "sha256:" and 64 hexadecimal digits, as `openssl` prints the digest of the key."""
        return self.show(self.spki_sha256)

    @cached_property
    def secret(self) -> bytes:
        """32 bytes made from the private key, the same on every call: the root of keys for the agent's own files."""
        return bytes(prf.derive_key("argot 2026-11 secret of an identity", self.key))

    @classmethod
    def generate(cls, name: str, algorithm: str = "ed25519") -> Self:
        """A fresh key and a certificate for it.

        Args:
            name: the agent's name, written into the certificate for people to read.
            algorithm: "ed25519", or "p256" where a hardware module or a policy wants NIST curves.
        """
        key: PrivateKey
        if algorithm == "ed25519":
            key = ed25519.Ed25519PrivateKey.generate()
        elif algorithm == "p256":
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            raise UnknownNameError(f"no key algorithm {algorithm!r}", wanted=" or ".join(ALGORITHMS))
        return cls._of(key, _self_signed(key, name))

    @classmethod
    def at(cls, directory: Path | str, name: str, algorithm: str = "ed25519") -> Self:
        """The identity in `directory`, made first if there is none."""
        if not (Path(directory) / KEY_FILE).exists():
            cls.generate(name, algorithm).save(directory)
        return cls.load(directory)

    def save(self, directory: Path | str) -> None:
        """Write both files into `directory`, made with mode 0700 if need be; both have mode 0600 from the first byte.

        Raises:
            ConfigError: the directory already holds a key. Losing a key that others pinned is never what was wanted.
        """
        directory = Path(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_path = directory / KEY_FILE
        if key_path.exists():
            raise ConfigError(f"{key_path} exists", todo="move it away first if this is to become another agent")
        key = serialization.load_der_private_key(self.key, None)
        certificate = x509.load_der_x509_certificate(self.certificate)
        _write(directory / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))
        _write(key_path, _private_bytes(key, serialization.Encoding.PEM))

    @classmethod
    def load(cls, directory: Path | str) -> Self:
        """Read an identity.

        Raises:
            ConfigError: a file is missing or damaged, the key can be read by others, or the two do not belong together.
        """
        directory = Path(directory)
        key_path = directory / KEY_FILE
        try:
            mode = key_path.stat().st_mode
            key_pem, certificate_pem = key_path.read_bytes(), (directory / CERTIFICATE_FILE).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read the identity in {directory}: {error}", todo="make one with `argot agent init`"
            ) from error
        if mode & 0o077:
            raise ConfigError(
                f"{key_path} is open to others (mode {mode & 0o777:o})", wanted="mode 600", todo=f"chmod 600 {key_path}"
            )
        try:
            key = serialization.load_pem_private_key(key_pem, None)
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(
                f"the identity in {directory} is damaged", wanted="an unencrypted key and a certificate, both PEM"
            ) from error
        if not isinstance(key, PrivateKey):
            raise ConfigError(f"{key_path} is of another kind", wanted=" or ".join(ALGORITHMS))
        if _spki(key.public_key()) != _spki(certificate.public_key()):
            raise ConfigError(f"{CERTIFICATE_FILE} in {directory} is not the certificate of {KEY_FILE}")
        return cls._of(key, certificate)

    @staticmethod
    def show(spki_sha256: bytes) -> str:
        """The text of a fingerprint."""
        return PREFIX + spki_sha256.hex()

    @staticmethod
    def parse(text: str) -> bytes:
        """The 32 bytes of a fingerprint; capitals, and colons or spaces between digits, are accepted.

        Raises:
            ConfigError: it is not a SHA-256.
        """
        digits = text.strip().lower().removeprefix(PREFIX).replace(":", "").replace(" ", "")
        with contextlib.suppress(ValueError):
            found = bytes.fromhex(digits)
            if len(found) == 32:
                return found
        raise ConfigError(f"{text!r} is not a fingerprint", wanted=f"{PREFIX} and 64 hexadecimal digits")

    @classmethod
    def _of(cls, key: PrivateKey, certificate: x509.Certificate) -> Self:
        return cls(
            certificate.public_bytes(serialization.Encoding.DER),
            _private_bytes(key, serialization.Encoding.DER),
            hashlib.sha256(_spki(certificate.public_key())).digest(),
        )


def _self_signed(key: PrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "argot")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def _private_bytes(key: Any, encoding: serialization.Encoding) -> bytes:
    plain = serialization.NoEncryption()
    return bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))


def _spki(key: Any) -> bytes:
    return bytes(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _write(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, readable by its owner only from the start (mkstemp makes it 0600)."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
