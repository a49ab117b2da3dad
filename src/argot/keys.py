"""Who an agent is: a key, a certificate that it signed itself, and the fingerprint by which others pin it.

An identity directory holds `key.pem` (PKCS#8, readable by its owner only) and `cert.pem`. The certificate only carries
the key into TLS: names, chains and dates in it are not trusted, the pinned SHA-256 of the public key is.

    identity = load_or_create(directory, "alice")
    identity.fingerprint          # bytes, for Link.add_peer
    show(identity.fingerprint)    # "sha256:9f86d0...", for configuration files and people
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from .errors import ConfigError, UnknownNameError

KEY_FILE, CERTIFICATE_FILE = "key.pem", "cert.pem"
PREFIX = "sha256:"
ALGORITHMS = ("ed25519", "p256")

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """One agent's certificate and private key.

    Attributes:
        cert_der: the self-signed X.509 certificate, DER.
        key_der: the private key, PKCS#8, DER, not encrypted.
        fingerprint: SHA-256 of the public key (SubjectPublicKeyInfo), 32 bytes.
    """

    cert_der: bytes
    key_der: bytes = field(repr=False)
    fingerprint: bytes

    def __str__(self) -> str:
        return show(self.fingerprint)


def generate(name: str, algorithm: str = "ed25519") -> Identity:
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
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "argot")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
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
    return _identity(key, certificate)


def save(identity: Identity, directory: Path | str) -> None:
    """Write both files into `directory`, made with mode 0700 if need be; the key has mode 0600 from its first byte.

    Raises:
        ConfigError: the directory already holds a key; losing a key that others pinned is never what was wanted.
    """
    directory = Path(directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = serialization.load_der_private_key(identity.key_der, None)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = x509.load_der_x509_certificate(identity.cert_der)
    key_path = directory / KEY_FILE
    if key_path.exists():
        raise ConfigError(
            f"{key_path} exists", todo="move it away first if this agent is to become another one"
        )
    _write(directory / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))
    _write(key_path, key_pem)


def load(directory: Path | str) -> Identity:
    """Read an identity.

    Raises:
        ConfigError: a file is missing, is not what it should be, is a key that others can read, or the two do not belong
            together.
    """
    directory = Path(directory)
    key_path, certificate_path = directory / KEY_FILE, directory / CERTIFICATE_FILE
    try:
        mode = key_path.stat().st_mode
        key_pem, certificate_pem = key_path.read_bytes(), certificate_path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read the identity in {directory}: {error}", todo="make one with `argot agent init`"
        ) from error
    if mode & 0o077:
        raise ConfigError(
            f"{key_path} can be read by others (mode {mode & 0o777:o})",
            wanted="mode 600",
            todo=f"chmod 600 {key_path}",
        )
    try:
        key = serialization.load_pem_private_key(key_pem, None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"the identity in {directory} is damaged", wanted="key and certificate in PEM") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{key_path} is not an Ed25519 or P-256 key", wanted=" or ".join(ALGORITHMS))
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise ConfigError(f"{CERTIFICATE_FILE} in {directory} is not the certificate of {KEY_FILE}")
    return _identity(key, certificate)


def load_or_create(directory: Path | str, name: str, algorithm: str = "ed25519") -> Identity:
    """The identity in `directory`, made first if there is none."""
    if not (Path(directory) / KEY_FILE).exists():
        save(generate(name, algorithm), directory)
    return load(directory)


def show(fingerprint: bytes) -> str:
    """The text of a fingerprint: "sha256:" and 64 hexadecimal digits, as `openssl` prints the digest of the same key."""
    return PREFIX + fingerprint.hex()


def parse(text: str) -> bytes:
    """The 32 bytes of a fingerprint written by `show`; capitals, colons and spaces between digits are accepted.

    Raises:
        ConfigError: it is not a SHA-256.
    """
    digits = text.strip().lower().removeprefix(PREFIX).replace(":", "").replace(" ", "")
    with contextlib.suppress(ValueError):
        found = bytes.fromhex(digits)
        if len(found) == 32:
            return found
    raise ConfigError(f"{text!r} is not a fingerprint", wanted=f"{PREFIX} and 64 hexadecimal digits")


def fingerprint_of(cert_der: bytes) -> bytes:
    """SHA-256 of the public key in a certificate."""
    return hashlib.sha256(_spki(x509.load_der_x509_certificate(cert_der).public_key())).digest()


def _identity(key: PrivateKey, certificate: x509.Certificate) -> Identity:
    key_der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cert_der = certificate.public_bytes(serialization.Encoding.DER)
    return Identity(cert_der, key_der, fingerprint_of(cert_der))


def _spki(key: object) -> bytes:
    encode = key.public_bytes  # type: ignore[attr-defined]
    result: bytes = encode(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return result


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
