"""Certificates and SSH keys of the stack file: are they what they should be, and do they belong together?

Each check gives the reason as the end of a sentence, or nothing; a key's value is in no answer.
"""

import base64
import binascii
import re
import ssl
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----\s*")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_MAGIC = b"openssh-key-v1\0"


def wrong_with_certificate(certificate: str, domain: str) -> str | None:
    """Whether the first certificate is one, and names `domain` or a wildcard above it."""
    encoded = _first_certificate(certificate)
    if not encoded:
        return "has to be the certificate with its chain in PEM form, `-----BEGIN CERTIFICATE-----` first"
    wildcard = f"*.{domain.partition('.')[2]}"
    # A name in a certificate is tag 0x82, its length, and the name itself (RFC 5280, GeneralName.dNSName).
    if not any(
        b"\x82" + bytes([len(name)]) + name.encode() in encoded for name in (domain, wildcard) if len(name) < 128
    ):
        return f"is for another name; get one for {domain}, or correct `domain`"
    return None


def wrong_with_certificate_key(certificate: str, key: str) -> str | None:
    """Whether `key` is the unencrypted private key of `certificate`; nothing about a `certificate` that is none."""
    if not _first_certificate(certificate):
        return None
    if "ENCRYPTED" in key:
        return "is protected by a passphrase, which nginx cannot ask for; take it off"
    with tempfile.TemporaryDirectory(prefix="comfyume-certificate-") as folder:
        chain, private = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        chain.write_text(certificate)
        private.touch(mode=0o600)
        private.write_text(key)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, private, password=lambda: b"")
        except (ssl.SSLError, ValueError):
            return "is not the private key of `certificate` in PEM form"
    return None


def _first_certificate(certificate: str) -> bytes:
    """The first certificate of a chain in binary form; empty when anything in the chain is no certificate."""
    found = _CERTIFICATE.search(certificate)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate)
        return ssl.PEM_cert_to_DER_cert(found[0]) if found else b""
    except (ValueError, ssl.SSLError):
        return b""


def wrong_with_operator_key(private_key: str, public_keys: Iterable[str]) -> str | None:
    """Whether `private_key` is an OpenSSH key without passphrase that opens what `public_keys` lock."""
    found = _OPENSSH.fullmatch(private_key.replace("\r\n", "\n").strip() + "\n")
    try:
        cipher, public = (
            _read_openssh(base64.b64decode("".join(found[1].split()), validate=True)) if found else ("", b"")
        )
    except (binascii.Error, struct.error, ValueError):
        cipher, public = "", b""
    if not public:
        return "has to be a private key in OpenSSH's form, `-----BEGIN OPENSSH PRIVATE KEY-----` first"
    if cipher != "none":
        return "is protected by a passphrase, which a deployment cannot ask for; use a key without one"
    if base64.b64encode(public).decode() not in {key.split()[1] for key in public_keys}:
        return "opens no machine: its public half is missing in `access.public_keys`; add it there"
    return None


def _read_openssh(blob: bytes) -> tuple[str, bytes]:
    """Name of the cipher and public key: the part of the file that is never encrypted."""
    if not blob.startswith(_MAGIC):
        raise ValueError("no OpenSSH key")
    rest = blob[len(_MAGIC) :]
    cipher, rest = _string(rest)
    _kdf, rest = _string(rest)
    _options, rest = _string(rest)
    public, _ = _string(rest[4:])
    return cipher.decode(), public


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise ValueError("cut off")
    return data[4 : 4 + length], data[4 + length :]
