"""Made-up secrets for a rehearsal: of the real form, generated anew each time, and each one findable in any text.

A canary is a piece of a secret that cannot be anywhere by chance; a rehearsal searches for them in all it shows.
"""

from __future__ import annotations

import base64
import datetime
import secrets
import string
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class MadeUp:
    """One secret setting: its value, and the pieces by which it is found again."""

    value: str
    canaries: tuple[str, ...]


@dataclass(frozen=True)
class SshKeys:
    """An operator's key pair: the private key in OpenSSH's form, the public one as a line of authorized_keys."""

    private: MadeUp
    public: str


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, PEM."""

    certificate: str
    key: MadeUp


def token(prefix: str = "", length: int = 40) -> MadeUp:
    """A random token; all of it is its canary."""
    value = prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))
    return MadeUp(value, (value,))


def ssh_keys(comment: str = "operator@rehearsal") -> SshKeys:
    """A new ed25519 key pair."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    # The first lines of the body hold the public half, which may be anywhere; the later ones the private half.
    return SshKeys(MadeUp(private, tuple(private.splitlines()[3:-1])), f"{public} {comment}")


def certificate(domain: str) -> Certificate:
    """A certificate for a domain and everything below it, valid for a month."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain), x509.DNSName(f"*.{domain}")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return Certificate(
        made.public_bytes(serialization.Encoding.PEM).decode(), MadeUp(pem, tuple(pem.splitlines()[1:2]))
    )


def is_in(canary: str, text: str) -> bool:
    """Whether a canary stands in a text: as it is, or in base64."""
    return canary in text or base64.b64encode(canary.encode()).decode().rstrip("=") in text
