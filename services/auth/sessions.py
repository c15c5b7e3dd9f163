"""Sessions: a signed cookie, bound to one workspace's path, that says who signed in and when.

Nothing is kept on the server: the cookie repeats its account's epoch, and a new password changes that. Signing keys
rotate by putting a new one in front of the file; cookies signed with the older ones stay good until those are removed.
"""

import secrets
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from services.auth.accounts import Account
from services.domain.errors import Unavailable

COOKIE = "comfyume_session"
_KEY_BYTES = 32


def create_keys_file(path: Path) -> None:
    """Write a file with one fresh key, readable by its owner only, unless there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return
    path.write_text(secrets.token_hex(_KEY_BYTES) + "\n")


def rotate_keys(path: Path, keep: int = 2) -> None:
    """Put a new key in front and keep `keep` keys in all, so that nobody is signed out."""
    keys = [secrets.token_hex(_KEY_BYTES), *_read_keys(path)][:keep]
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text("\n".join(keys) + "\n")
    temporary.replace(path)


def _read_keys(path: Path) -> list[str]:
    try:
        keys = path.read_text().split()
    except OSError as error:
        raise Unavailable("The session keys cannot be read; check the sign-in service's key file.") from error
    if not keys or min(map(len, keys)) < 2 * _KEY_BYTES:
        raise Unavailable("The session keys file holds no usable key; make a new one.")
    return keys


class Sessions:
    """Makes and reads session cookies."""

    def __init__(self, keys_file: Path, max_age_seconds: float) -> None:
        self._keys_file = keys_file
        self.max_age_seconds = int(max_age_seconds)
        self._stamp: int | None = None
        self._serializer: URLSafeTimedSerializer | None = None

    def issue(self, account: Account, workspace: str) -> str:
        """A cookie value that is good for `account` in that one workspace."""
        return self._current().dumps([account.name, workspace, account.epoch])

    def read(self, value: str, workspace: str) -> tuple[str, str] | None:
        """(name, epoch) of a cookie that was issued for this workspace and is not too old; None for any other."""
        try:
            content = self._current().loads(value, max_age=self.max_age_seconds)
        except BadSignature:
            return None
        match content:
            case [str(name), str(bound_to), str(epoch)] if bound_to == workspace:
                return name, epoch
        return None

    def _current(self) -> URLSafeTimedSerializer:
        try:
            stamp = self._keys_file.stat().st_mtime_ns
        except OSError as error:
            raise Unavailable("The session keys cannot be read; check the sign-in service's key file.") from error
        if self._serializer is None or stamp != self._stamp:
            # itsdangerous signs with the last key of its list and accepts every one of them.
            self._serializer = URLSafeTimedSerializer(_read_keys(self._keys_file)[::-1], salt="comfyume.session")
            self._stamp = stamp
        return self._serializer
