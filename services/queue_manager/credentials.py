"""Who may speak, and as whom: bearer tokens, kept as SHA-256 in one Redis hash and as a table in every process.

A token is 256 random bits, so a plain fast hash keeps it safe at rest. Checking one is a look-up in memory: the hot
routes cannot pay a round trip. What makes that right is the other direction: a change is announced to every process,
and the one that changes waits until each of them has taken it over before it answers. A process that has lost its
line to the announcements refuses to vouch for anybody until it has read the whole table again.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from services.domain.errors import Conflict, InvalidInput, NotFound, NotSignedIn, Unavailable
from services.domain.names import RESERVED_NAMES, Role, is_name
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys

TOKEN_PATTERN = r"^cme_[A-Za-z0-9_-]{43}$"  # noqa: S105 - the form of a token, not one
_TOKEN = re.compile(TOKEN_PATTERN)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a credential speaks for."""

    role: Role
    name: str


class StoredCredential(BaseModel):
    """One value of the credentials hash; its field is `role:name`."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    created_at: int


class Announcer(Protocol):
    """The way to the other processes; returns when all of them have taken the change over."""

    async def announce_credential(self, role: Role, name: str) -> None: ...


def new_token() -> str:
    """A fresh token, `cme_` and 43 characters."""
    return "cme_" + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The form in which a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Credentials:
    """The table of credentials in this process, and the changes to it."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._by_digest: dict[str, Identity] = {}
        self._stored: dict[Identity, StoredCredential] = {}
        self._known = False
        self.announcer: Announcer | None = None

    def identify(self, token: str) -> Identity:
        """Return whom `token` speaks for; raises NotSignedIn, or Unavailable while the table is not up to date."""
        identity = self._by_digest.get(digest(token))
        if not self._known:
            raise Unavailable("The queue's store does not answer, so no credential can be checked; try again.")
        if identity is None:
            raise NotSignedIn("This token is not known (any more); ask the operator for a new one.")
        return identity

    def identify_header(self, header: bytes | None) -> Identity:
        """The same for the raw value of an Authorization header."""
        if header is None or header[:7].lower() != b"bearer ":
            raise NotSignedIn("The header Authorization is missing; send `Authorization: Bearer <token>`.")
        return self.identify(header[7:].strip().decode("latin-1"))

    def listed(self) -> list[tuple[Identity, StoredCredential]]:
        """Everybody who has a credential, by role and name."""
        return sorted(self._stored.items(), key=lambda entry: (entry[0].role, entry[0].name))

    def participants(self) -> list[str]:
        """The names of all participants and instructors: those who may have jobs."""
        return [who.name for who in self._stored if who.role in (Role.PARTICIPANT, Role.INSTRUCTOR)]

    def has(self, identity: Identity) -> bool:
        """Whether there is a credential for this role and name."""
        return identity in self._stored

    @property
    def is_current(self) -> bool:
        """Whether the table may be trusted: it was read, and changes are heard of."""
        return self._known

    def distrust(self) -> None:
        """The line to the announcements is gone: vouch for nobody until `load` has succeeded."""
        self._known = False

    async def load(self) -> None:
        """Read the whole table, and vouch for those in it."""
        await self.read()
        self._known = True

    async def read(self) -> None:
        """Read the whole table; whether it may be trusted stays as it was."""
        flat = await self._redis.execute("HGETALL", keys.CREDENTIALS)
        self._by_digest.clear()
        self._stored.clear()
        for field, value in zip(flat[::2], flat[1::2], strict=True):
            role, _, name = field.decode().partition(":")
            self._take(Identity(Role(role), name), StoredCredential.model_validate_json(value))

    async def refresh(self, role: Role, name: str) -> None:
        """Take over what Redis now has for one name: another process (or this one) changed it."""
        value = await self._redis.execute("HGET", keys.CREDENTIALS, f"{role}:{name}")
        identity = Identity(role, name)
        self._drop(identity)
        if value is not None:
            self._take(identity, StoredCredential.model_validate_json(value))

    async def put(self, role: Role, name: str, token: str | None, now: int) -> str:
        """Create the credential of a name, or rotate it; returns the token, which is shown this once.

        Raises InvalidInput for a bad name or token, Conflict if the name has another role or the token another owner.
        """
        if not is_name(name):
            raise InvalidInput("The name must be lower-case letters, digits and hyphens, starting with a letter.")
        if role is Role.PARTICIPANT and name in RESERVED_NAMES:
            raise InvalidInput(f"The name {name} is an address of the front door; choose another one.")
        if token is not None and not _TOKEN.fullmatch(token):
            raise InvalidInput("The token must be cme_ and 43 letters, digits, - or _; leave it out to get one made.")
        identity = Identity(role, name)
        token = token or new_token()
        refusal = self.refusal_of(identity, digest(token))
        if refusal is not None:
            raise Conflict(refusal)
        stored = StoredCredential(sha256=digest(token), created_at=now)
        await self._redis.execute("HSET", keys.CREDENTIALS, f"{role}:{name}", stored.model_dump_json())
        await self.announce(role, name)
        return token

    async def remove(self, role: Role, name: str) -> None:
        """Remove a credential; its token stops working before this returns. Raises NotFound if there is none."""
        if not is_name(name) or not await self._redis.execute("HDEL", keys.CREDENTIALS, f"{role}:{name}"):
            raise NotFound(f"There is no {role} of that name; GET /api/credentials lists them.")
        await self.announce(role, name)

    def refusal_of(self, identity: Identity, sha256: str) -> str | None:
        """Why this name may not have the token with that digest, as a sentence; None if it may."""
        name, others = identity.name, (role for role in Role if role is not identity.role)
        taken = next((other for other in others if Identity(other, name) in self._stored), None)
        if taken is not None:
            return f"The name {name} belongs to a {taken}; choose another name, each has one role."
        if self._by_digest.get(sha256, identity) != identity:
            return "This token belongs to somebody else; leave it out to get a new one made."
        return None

    async def announce(self, role: Role, name: str) -> None:
        """Redis has something new for this name: return when this process and all others have taken it over."""
        await self.refresh(role, name)
        if self.announcer is not None:
            await self.announcer.announce_credential(role, name)

    def _take(self, identity: Identity, stored: StoredCredential) -> None:
        self._stored[identity] = stored
        self._by_digest[stored.sha256] = identity

    def _drop(self, identity: Identity) -> None:
        stored = self._stored.pop(identity, None)
        if stored is not None:
            self._by_digest.pop(stored.sha256, None)
