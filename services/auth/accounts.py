"""Accounts: who may sign in, with which password, and since when sessions count.

One JSON file, written whole and renamed into place. Changing one account touches no other: each carries its own
`epoch`, which its sessions repeat; a new password means a new epoch, and only that person's sessions end.
"""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import bcrypt
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from services.domain.errors import Conflict, NotFound, Unavailable
from services.domain.names import Name, Role

BCRYPT_COST = 10
"""Product requirement, section 6: some 50 ms for each check on the app host."""

REMEMBERED_CHECKS = 1_000
"""Right passwords of clients that send HTTP Basic with every request are remembered, as keyed digests, this many."""


class Account(BaseModel):
    """One person's sign-in."""

    model_config = ConfigDict(frozen=True)

    name: Name
    role: Role
    password_hash: str
    epoch: str


_ACCOUNTS = TypeAdapter(list[Account])
_NOBODY = bcrypt.hashpw(secrets.token_bytes(24), bcrypt.gensalt(BCRYPT_COST)).decode()


def new_password() -> str:
    """A password of 24 characters that survives being read aloud and put into an address (no `/`, `@`, `:`)."""
    return secrets.token_urlsafe(18)


class Accounts:
    """The accounts file, read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._accounts: dict[str, Account] = {}
        self._memory_key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, str] = OrderedDict()

    def find(self, name: str) -> Account | None:
        """The account of that name; None if there is none.

        Raises:
            Unavailable: the file cannot be read.
        """
        self._refresh()
        return self._accounts.get(name)

    def names(self) -> list[str]:
        """All names, sorted."""
        self._refresh()
        return sorted(self._accounts)

    def check(self, name: str, password: str) -> Account | None:
        """The account, if the password is right. Takes the time of one bcrypt check, also for names nobody has."""
        account = self.find(name)
        # bcrypt looks at 72 bytes only and refuses more.
        secret = password.encode()[:72]
        expected = account.password_hash if account else _NOBODY
        digest = hmac.new(self._memory_key, name.encode() + b"\0" + secret, hashlib.sha256).digest()
        if account and self._right.get(digest) == expected:
            return account
        if not bcrypt.checkpw(secret, expected.encode()) or account is None:
            return None
        self._right[digest] = expected
        while len(self._right) > REMEMBERED_CHECKS:
            self._right.popitem(last=False)
        return account

    def add(self, name: str, role: Role, password: str) -> Account:
        """Create an account.

        Raises:
            Conflict: the name is taken.
        """
        if self.find(name) is not None:
            raise Conflict(f"name: '{name}' has an account already; change its password or choose another name.")
        return self._put(name, role, password)

    def change_password(self, name: str, password: str) -> Account:
        """Give an account a new password and end its sessions.

        Raises:
            NotFound: there is no such account.
        """
        account = self.find(name)
        if account is None:
            raise NotFound(f"name: there is no account '{name}'; see the list of names.")
        return self._put(name, account.role, password)

    def remove(self, name: str) -> None:
        """Remove an account; its sessions end at once.

        Raises:
            NotFound: there is no such account.
        """
        if self.find(name) is None:
            raise NotFound(f"name: there is no account '{name}'; see the list of names.")
        self._write({key: value for key, value in self._accounts.items() if key != name})

    def _put(self, name: str, role: Role, password: str) -> Account:
        password_hash = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(BCRYPT_COST)).decode()
        account = Account(name=name, role=role, password_hash=password_hash, epoch=secrets.token_hex(8))
        self._write({**self._accounts, name: account})
        return account

    def _write(self, accounts: dict[str, Account]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content: list[dict[str, Any]] = [accounts[name].model_dump(mode="json") for name in sorted(accounts)]
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".accounts-")
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self._path)
        self._refresh()

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._accounts, self._stamp = {}, None
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            accounts = _ACCOUNTS.validate_json(self._path.read_bytes())
        except (OSError, ValidationError) as error:
            raise Unavailable("The accounts file cannot be read; restore it from its backup.") from error
        self._accounts = {account.name: account for account in accounts}
        self._stamp = stamp
