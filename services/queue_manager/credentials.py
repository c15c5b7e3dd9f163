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
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.domain.errors import Conflict, InvalidInput, NotFound, NotSignedIn, StorageFull, Unavailable
from services.domain.names import Name, Role, is_name
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys

log = get_logger(__name__)

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


class BootstrapCredential(BaseModel):
    """One entry of the bootstrap file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    role: Role
    name: Name
    token: str = Field(pattern=TOKEN_PATTERN)


class Announcer(Protocol):
    """The way to the other processes; returns when all of them have taken the change over."""

    async def announce_credential(self, role: Role, name: str) -> None: ...


def new_token() -> str:
    """A fresh token, `cme_` and 43 characters."""
    return "cme_" + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The form in which a token is kept: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_bootstrap(path: Path | None) -> list[BootstrapCredential]:
    """Read the bootstrap file; raises InvalidInput with a sentence that names the file and the field, never a token."""
    if path is None:
        return []
    try:
        return TypeAdapter(list[BootstrapCredential]).validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"QUEUE_BOOTSTRAP_CREDENTIALS_FILE names {path.name}, which cannot be read ({error.strerror}); "
            "create it or leave the setting out."
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput(
            f"QUEUE_BOOTSTRAP_CREDENTIALS_FILE ({path.name}) is not valid at {where}: {first['msg']}."
        ) from None


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

    async def load(self, bootstrap: list[BootstrapCredential], now: int) -> None:
        """Read the whole table, after adding those of `bootstrap` that were never taken over and have no credential."""
        try:
            await self._take_over(bootstrap, now)
        except StorageFull:  # those who have a credential must still get in: their jobs have to end
            log.warning("the bootstrap credentials were not taken over, because the store is full")
        flat = await self._redis.execute("HGETALL", keys.CREDENTIALS)
        self._by_digest.clear()
        self._stored.clear()
        for field, value in zip(flat[::2], flat[1::2], strict=True):
            role, _, name = field.decode().partition(":")
            self._take(Identity(Role(role), name), StoredCredential.model_validate_json(value))
        self._known = True

    async def _take_over(self, bootstrap: list[BootstrapCredential], now: int) -> None:
        """Add entries of the bootstrap file, each once for all time: a restart does not bring back who was removed."""
        taken = await self._redis.execute("SMEMBERS", keys.CREDENTIALS_TAKEN_OVER) if bootstrap else ()
        for entry in bootstrap:
            field = f"{entry.role}:{entry.name}"
            if field.encode() not in taken:
                stored = StoredCredential(sha256=digest(entry.token), created_at=now)
                await self._redis.execute("HSETNX", keys.CREDENTIALS, field, stored.model_dump_json())
                await self._redis.execute("SADD", keys.CREDENTIALS_TAKEN_OVER, field)

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
        if token is not None and not _TOKEN.fullmatch(token):
            raise InvalidInput("The token must be cme_ and 43 letters, digits, - or _; leave it out to get one made.")
        identity = Identity(role, name)
        taken = next((other for other in Role if other is not role and Identity(other, name) in self._stored), None)
        if taken is not None:
            raise Conflict(f"The name {name} belongs to a {taken}; choose another name, each has one role.")
        token = token or new_token()
        if self._by_digest.get(digest(token), identity) != identity:
            raise Conflict("This token belongs to somebody else; leave it out to get a new one made.")
        stored = StoredCredential(sha256=digest(token), created_at=now)
        await self._redis.execute("HSET", keys.CREDENTIALS, f"{role}:{name}", stored.model_dump_json())
        await self._announce(role, name)
        return token

    async def remove(self, role: Role, name: str) -> None:
        """Remove a credential; its token stops working before this returns. Raises NotFound if there is none."""
        if not is_name(name) or not await self._redis.execute("HDEL", keys.CREDENTIALS, f"{role}:{name}"):
            raise NotFound(f"There is no {role} of that name; GET /api/credentials lists them.")
        await self._announce(role, name)

    async def _announce(self, role: Role, name: str) -> None:
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
