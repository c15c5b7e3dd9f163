"""Credentials as files: `<role>-<name>.json` in a folder, taken over as they appear, change and go.

The folder decides about those names only that came from it, and only when a file changes: what the operator changes
over HTTP stays until then. Which content was taken over is kept in Redis (SHA-256 of the token), so that of several
processes one carries a change out, and a Redis that has lost its data gets everything back.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.domain.errors import InvalidInput
from services.domain.names import RESERVED_NAMES, Name, Role, is_name
from services.kit.logs import get_logger
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.credentials import TOKEN_PATTERN, Credentials, Identity, StoredCredential, digest
from services.queue_manager.scripts import Scripts

log = get_logger(__name__)

GONE_SECONDS = 3.0
"""A file has to be away for so long: a deployment that replaces it must not cancel its owner's jobs."""

SETTLED_NS = 2_000_000_000
"""A file younger than this may change once more within one step of the file system's clock: it is read again."""


class CredentialFile(BaseModel):
    """The content of one file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    role: Role
    name: Name
    token: str = Field(pattern=TOKEN_PATTERN)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file held, as SHA-256 of its token; None: nothing usable, so nothing is done about it."""

    stamp: tuple[int, int, int] | None
    sha256: str | None


def require_folder(folder: Path | None) -> None:
    """Raise InvalidInput, naming the setting, unless `folder` (if any) can be listed."""
    if folder is not None and not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        raise InvalidInput(
            f"QUEUE_CREDENTIALS_DIR names {folder.name}, which is no folder that can be read; make it, or leave the "
            "setting out."
        )


class CredentialsFolder:
    """Looks at the folder and remembers what each file held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[Identity, _Seen] = {}

    def look(self) -> dict[Identity, str | None]:
        """Whose files there are, each with the SHA-256 of its token, or None while it makes no sense; may raise
        OSError. Takes the time of a few system calls a file: call it in a thread.
        """
        seen: dict[Identity, _Seen] = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                identity = _identity_of(entry.name)
                if identity is not None:
                    seen[identity] = self._look_at(identity, entry)
        self._seen = seen
        return {identity: one.sha256 for identity, one in seen.items()}

    def _look_at(self, identity: Identity, entry: os.DirEntry[str]) -> _Seen:
        before = self._seen.get(identity)
        try:
            status = entry.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if before is not None and before.stamp == stamp:
                return before
            content = CredentialFile.model_validate_json(Path(entry.path).read_bytes())
            if (content.role, content.name) != (identity.role, identity.name):
                raise ValueError("the file's name is that of somebody else")
        except (OSError, ValueError) as error:
            if before is None or before.sha256 is not None:
                what = error.errors(include_input=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
                log.warning("a credential's file makes no sense; it changes nothing", file=entry.name, what=what)
            return _Seen(None, None)
        settled = time.time_ns() - status.st_mtime_ns > SETTLED_NS
        return _Seen(stamp if settled else None, digest(content.token))


def _identity_of(file: str) -> Identity | None:
    """Whose file that is by its name, None for any other file."""
    role, _, name = file.removesuffix(".json").partition("-")
    if not file.endswith(".json") or role not in list(Role) or not is_name(name):
        return None
    if role == Role.PARTICIPANT and name in RESERVED_NAMES:
        return None
    return Identity(Role(role), name)


def _field(who: Identity) -> str:
    """The name of somebody's fields in Redis."""
    return f"{who.role}:{who.name}"


class FolderFollower:
    """Brings Redis and this process's table to what the folder says; one in each process."""

    def __init__(
        self,
        folder: CredentialsFolder,
        redis: RedisConnection,
        scripts: Scripts,
        credentials: Credentials,
        removed: Callable[[Identity, int], Awaitable[object]],
    ) -> None:
        """`removed` is told once, in one process, about everybody whose file went."""
        self._folder = folder
        self._redis = redis
        self._scripts = scripts
        self._credentials = credentials
        self._removed = removed
        self._known: dict[Identity, str | None] = {}
        self._settled: tuple[dict[Identity, str | None], int] | None = None
        self._readable = True
        self._refused: dict[Identity, str] = {}
        self._gone_since: dict[Identity, float] = {}
        self._unannounced: set[Identity] = set()
        self._turn = asyncio.Lock()

    async def take_over(self, now: int) -> None:
        """Write to Redis what the folder has and Redis lacks. The table is read before, for its refusals, and
        afterwards; `follow` tells the others.
        """
        async with self._turn:
            self._known = await self._look()
            await self._bring_in(self._known, now)

    async def follow(self, now: int) -> None:
        """Look again, carry out what has changed, and return when every process has taken that over."""
        async with self._turn:
            look = await self._look()
            marks = await self._bring_in(look, now)
            if look:
                await self._carry_out_removals(look, marks, now)
            announced, self._unannounced = self._unannounced, set()
            await asyncio.gather(*(self._credentials.announce(who.role, who.name) for who in announced))
            changed = {who for who in look.keys() | self._known.keys() if look.get(who) != self._known.get(who)}
            for who in changed - announced:  # another process was faster; perhaps it died before it could say so
                await self._credentials.refresh(who.role, who.name)
            self._known = look

    async def _look(self) -> dict[Identity, str | None]:
        """What the folder holds; nothing when it cannot be read, which removes nobody."""
        try:
            look = await asyncio.to_thread(self._folder.look)
        except OSError as error:
            if self._readable:
                log.error("the credentials folder cannot be read; nothing is changed", what=error.strerror)
            look, self._readable = {}, False
        else:
            self._readable = True
        return look

    async def _bring_in(self, look: dict[Identity, str | None], now: int) -> dict[Identity, str]:
        """Take new and changed files over; answers what is marked as taken from files."""
        if self._settled == (look, await self._redis.execute("HLEN", keys.CREDENTIAL_FILES)):
            return {}
        self._settled = None
        marks = await self._marks()
        for who, sha256 in look.items():
            if sha256 is None or marks.get(who) == sha256 or self._is_refused(who, sha256):
                continue
            record = StoredCredential(sha256=sha256, created_at=now).model_dump_json()
            if await self._scripts.take_credential(now, _field(who), marks.get(who, ""), sha256, record):
                self._unannounced.add(who)
                await self._credentials.refresh(who.role, who.name)
            marks[who] = sha256
        if marks == look:
            self._settled = (look, len(marks))
        return marks

    def _is_refused(self, who: Identity, sha256: str) -> bool:
        """Whether somebody else has that name or that token; said once."""
        refusal = self._credentials.refusal_of(who, sha256)
        if refusal is None:
            self._refused.pop(who, None)
        elif self._refused.get(who) != sha256:
            self._refused[who] = sha256
            log.warning("a credential's file is not taken over", role=who.role, name=who.name, what=refusal)
        return refusal is not None

    async def _marks(self) -> dict[Identity, str]:
        flat = await self._redis.execute("HGETALL", keys.CREDENTIAL_FILES)
        split = (field.decode().partition(":") for field in flat[::2])
        return {
            Identity(Role(role), name): sha256.decode()
            for (role, _, name), sha256 in zip(split, flat[1::2], strict=True)
        }

    async def _carry_out_removals(self, look: dict[Identity, str | None], marks: dict[Identity, str], now: int) -> None:
        """Remove those whose file has been away for a while. An empty folder removes nobody: it is a lost mount."""
        away = {who: self._gone_since.get(who, time.monotonic()) for who in marks if who not in look}
        self._gone_since = away
        for who, since in away.items():
            if time.monotonic() - since < GONE_SECONDS:
                continue
            if await self._scripts.take_credential(now, _field(who), marks[who], "", ""):
                log.info("a credential's file has gone", role=who.role, name=who.name)
                await self._credentials.announce(who.role, who.name)
                await self._removed(who, now)
