"""Accounts: who may sign in, with which password, and since when sessions count.

One JSON file an account, looked at with every question about its name: what was added, changed or removed holds from
the next request on, and nobody else notices. Each account carries its own `epoch`, which its sessions repeat; a new
password means a new epoch. A file that makes no sense (somebody is writing it) changes nothing for whoever is in.
"""

import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import bcrypt
from pydantic import BaseModel, ConfigDict

from services.domain.errors import Conflict, NotFound, Unavailable
from services.domain.names import Name, Role, is_name
from services.kit.private_file import write_private

log = logging.getLogger(__name__)

BCRYPT_COST = 10
"""Product requirement, section 6: some 50 ms for each check on the app host."""

REMEMBERED_CHECKS = 1_000
"""Right passwords of clients that send HTTP Basic with every request are remembered, as keyed digests, this many."""

SETTLED_NS = 2_000_000_000
"""A file changed longer ago than this has a time of its own: file systems count in steps of milliseconds to a second,
so a younger one may change once more without looking different.
"""


class Account(BaseModel):
    """One person's sign-in."""

    model_config = ConfigDict(frozen=True)

    name: Name
    role: Role
    password_hash: str
    epoch: str


@dataclass(frozen=True)
class _Read:
    """What a file said when it was last readable; `stamp` None: look again."""

    account: Account
    stamp: tuple[int, int, int] | None


_NOBODY = bcrypt.hashpw(secrets.token_bytes(24), bcrypt.gensalt(BCRYPT_COST)).decode()


def new_password() -> str:
    """A password of 24 characters that survives being read aloud and put into an address (no `/`, `@`, `:`)."""
    return secrets.token_urlsafe(18)


class Accounts:
    """The folder of accounts, `<name>.json` each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, _Read] = {}
        self._memory_key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, str] = OrderedDict()

    def find(self, name: str) -> Account | None:
        """The account of that name; None if there is none.

        Raises:
            Unavailable: the folder is not there, or the account's file was never readable.
        """
        if not is_name(name):
            return None
        try:
            status = self._file(name).stat()
        except FileNotFoundError:
            self._read.pop(name, None)
            if not self._folder.is_dir():
                raise Unavailable("The folder of accounts is not there; put it where AUTH_ACCOUNTS_DIR says.") from None
            return None
        except OSError as error:
            raise Unavailable("The folder of accounts cannot be read; check its owner and mode.") from error
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        known = self._read.get(name)
        if known is not None and known.stamp == stamp:
            return known.account
        return self._look(name, stamp if time.time_ns() - status.st_mtime_ns > SETTLED_NS else None)

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
        """Create an account, and the folder if it is the first.

        Raises:
            Conflict: the name is taken.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._file(name).exists():
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
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _put(self, name: str, role: Role, password: str) -> Account:
        password_hash = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(BCRYPT_COST)).decode()
        account = Account(name=name, role=role, password_hash=password_hash, epoch=secrets.token_hex(8))
        write_private(self._file(name), account.model_dump_json(indent=1) + "\n")
        return account

    def _look(self, name: str, stamp: tuple[int, int, int] | None) -> Account:
        try:
            account = Account.model_validate_json(self._file(name).read_bytes())
            if account.name != name:
                raise ValueError
        except (OSError, ValueError) as error:
            known = self._read.get(name)
            if known is None:
                raise Unavailable(f"The account of {name} cannot be read; write its file anew.") from error
            log.warning("the account of %s cannot be read; what it said before still counts", name)
            return known.account
        self._read[name] = _Read(account, stamp)
        return account
