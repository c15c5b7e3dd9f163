"""A scratch copy of a stack file: other settings, made-up secrets encrypted with a passphrase of its own.

Pulumi's passphrase form: AES-256-GCM with a key by PBKDF2 from the passphrase and the file's salt. Written here rather
than by `pulumi config set`, because that takes secrets as arguments, which every process of the machine may read.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ruamel.yaml import YAML

_ITERATIONS = 1_000_000  # Pulumi's own number
_FOREIGN = ("encryptionsalt", "encryptedkey", "secretsprovider")


class StackFile:
    """`Pulumi.<stack>.yaml` of a scratch folder."""

    def __init__(self, path: Path, passphrase: str) -> None:
        self.path = path
        self._yaml = YAML()
        data = self._load()
        salt = os.urandom(8)
        self._cipher = AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ITERATIONS))
        for key in _FOREIGN:
            data.pop(key, None)
        config = data.setdefault("config", {})
        for key in [key for key, value in config.items() if isinstance(value, dict) and "secure" in value]:
            del config[key]  # encrypted for the real passphrase, which a rehearsal has no use for
        data["encryptionsalt"] = f"v1:{base64.b64encode(salt).decode()}:{self._encrypted('pulumi')}"
        self._store(data)

    def set(self, key: str, value: Any) -> None:
        """Set `project:key` to a plain value; `project:section.name` reaches into a section; None takes it away."""
        data = self._load()
        place = data["config"]
        namespace, _, path = key.partition(":")
        first, *others = path.split(".")
        names = [f"{namespace}:{first}", *others]
        for name in names[:-1]:
            place = place.setdefault(name, {})
        if value is None:
            place.pop(names[-1], None)
        else:
            place[names[-1]] = value
        self._store(data)

    def set_secret(self, key: str, value: str) -> None:
        """Set `project:key` to a secret."""
        data = self._load()
        data["config"][key] = {"secure": self._encrypted(value)}
        self._store(data)

    def get(self, key: str) -> Any:
        """The value of `project:key` or `project:section.name`, None where it is not set."""
        namespace, _, path = key.partition(":")
        first, *others = path.split(".")
        place = self._load()["config"].get(f"{namespace}:{first}")
        for name in others:
            place = None if place is None else place.get(name)
        return place

    def _encrypted(self, text: str) -> str:
        nonce = os.urandom(12)
        sealed = self._cipher.encrypt(nonce, text.encode(), None)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"

    def _load(self) -> Any:
        return (self._yaml.load(self.path) if self.path.exists() else None) or {}

    def _store(self, data: Any) -> None:
        self._yaml.dump(data, self.path)
