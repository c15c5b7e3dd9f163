"""The decision behind every request to the front door: may this request enter that workspace?"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.auth.accounts import Account, Accounts
from services.auth.lockout import Lockout
from services.auth.sessions import Sessions
from services.domain.names import Role, is_name

ADMIN_WORKSPACE = "admin"
"""The console: open to instructors and operators; every other workspace is open to its own name only."""


class Outcome(StrEnum):
    """What the front door is told; the value travels in the header `X-Auth-Reason`."""

    WELCOME = "welcome"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    LOCKED = "locked"


@dataclass(frozen=True)
class Verdict:
    """The answer to one request."""

    outcome: Outcome
    account: Account | None = None
    new_session: str | None = None
    wait_seconds: float = 0.0


def workspace_of(account: Account) -> str:
    """Where somebody lands after signing in."""
    return account.name if account.role is Role.PARTICIPANT else ADMIN_WORKSPACE


def may_enter(account: Account, workspace: str) -> bool:
    """The rule of the rooms."""
    if workspace == ADMIN_WORKSPACE:
        return account.role in (Role.INSTRUCTOR, Role.OPERATOR)
    return account.name == workspace


def read_basic(header: str) -> tuple[str, str] | None:
    """Name and password of an `Authorization: Basic` header; None where there is none, or it makes no sense."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


class Verifier:
    """Decides from a session cookie or a password; `clock` gives monotonic seconds."""

    def __init__(self, accounts: Accounts, sessions: Sessions, lockout: Lockout, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._lockout = lockout
        self._clock = clock

    def from_session(self, workspace: str, cookie: str) -> Verdict | None:
        """Judge one request for `workspace` by its session; None without one. Takes no time worth a thread."""
        account = self._from_session(workspace, cookie)
        return self._admit(account, workspace) if account is not None else None

    def from_password(self, workspace: str, authorization: str, address: str) -> Verdict:
        """Judge one request by its password. May take the time of a bcrypt check: call it in a thread."""
        basic = read_basic(authorization)
        return self.sign_in(*basic, address, workspace) if basic else Verdict(Outcome.UNKNOWN)

    def sign_in(self, name: str, password: str, address: str, workspace: str | None = None) -> Verdict:
        """Judge a name and a password; without a workspace, for the one that the person belongs to."""
        now = self._clock()
        name = name[:64]
        wait = self._lockout.wait_seconds(name, address, now)
        if wait > 0:
            return Verdict(Outcome.LOCKED, wait_seconds=wait)
        account = self._accounts.check(name, password) if is_name(name) else None
        if account is None:
            self._lockout.failed(name, address, now)
            return Verdict(Outcome.UNKNOWN)
        self._lockout.succeeded(name, address)
        workspace = workspace or workspace_of(account)
        verdict = self._admit(account, workspace)
        if verdict.outcome is not Outcome.WELCOME:
            return verdict
        return Verdict(Outcome.WELCOME, account, new_session=self._sessions.issue(account, workspace))

    def _from_session(self, workspace: str, cookie: str) -> Account | None:
        session = self._sessions.read(cookie, workspace) if cookie else None
        if session is None:
            return None
        name, epoch = session
        account = self._accounts.find(name)
        return account if account is not None and account.epoch == epoch else None

    def _admit(self, account: Account, workspace: str) -> Verdict:
        if not may_enter(account, workspace):
            return Verdict(Outcome.FOREIGN, account)
        return Verdict(Outcome.WELCOME, account)
