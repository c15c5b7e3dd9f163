"""The one visible folder of a local workshop: what lies where, who may read it, and the credentials made at first."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.domain.errors import InvalidInput
from services.domain.names import Role
from services.kit.private_file import write_private


def new_token() -> str:
    """Return a fresh credential, 256 bits of randomness, in the form the queue manager knows."""
    return "cme_" + secrets.token_urlsafe(32)


@dataclass(frozen=True)
class WorkshopFolder:
    """The layout below `path`, which is absolute."""

    path: Path

    @property
    def redis(self) -> Path:
        """Redis: its configuration and its append-only file."""
        return self.path / "redis"

    @property
    def queue(self) -> Path:
        """The queue manager's files: inputs, outputs, catalogues, archive."""
        return self.path / "queue"

    @property
    def door(self) -> Path:
        """The front door: certificate, configuration, accounts, session keys."""
        return self.path / "door"

    @property
    def accounts(self) -> Path:
        """Who may sign in: one file an account, with a hash of the password."""
        return self.door / "accounts"

    @property
    def console_token(self) -> Path:
        """The console's credential: the operator's."""
        return self.door / "console-token"

    @property
    def page(self) -> Path:
        """The stock page's files as the front door sends them, most of them compressed; made at the first start."""
        return self.door / "page"

    @property
    def sign_in(self) -> Path:
        """Everybody's address and password, `[{"name", "address", "password"}]`: to be handed out, then kept safe."""
        return self.path / "sign-in.json"

    def web_ui(self, name: str) -> Path:
        """One participant's own files: saved workflows and settings."""
        return self.path / "web-uis" / name

    @property
    def logs(self) -> Path:
        """One bounded log a part."""
        return self.path / "logs"

    @property
    def credentials(self) -> Path:
        """Everybody's tokens, one file `<role>-<name>.json` each; the queue manager follows this folder."""
        return self.path / "credentials"

    @property
    def running(self) -> Path:
        """What runs at the moment, for `status`, `down`, the command line, and the next `up` after a crash."""
        return self.path / "running.json"

    @property
    def lock(self) -> Path:
        """Held by the program that runs this workshop, as long as it lives."""
        return self.path / "lock"

    def worker(self, name: str) -> Path:
        """One worker's own files."""
        return self.path / name

    def ensure(self) -> None:
        """Make the folders, closed to other users of this machine. Raises InvalidInput where that is impossible."""
        try:
            for folder in (self.path, self.redis, self.queue, self.door, self.logs, self.credentials):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"WORKSHOP_FOLDER={self.path} cannot be used: {error.strerror}.") from error

    def ensure_credentials(self, participants: int, workers: int) -> None:
        """Give a token to everybody who has none yet: participants, instructor, operator, workers.

        Participants are only added at the very first start: whoever was removed later stays away.
        """
        there = {(one.get("role"), one.get("name")) for one in self.read_credentials()}
        # The operator comes last: where he is, the first start was completed.
        wanted = [(Role.INSTRUCTOR, "instructor")]
        wanted += [(Role.WORKER, worker_name(number)) for number in range(1, workers + 1)]
        wanted += [(Role.OPERATOR, "operator")]
        if wanted[-1] not in there:
            wanted[:0] = [(Role.PARTICIPANT, f"user{number:03}") for number in range(1, participants + 1)]
        for role, name in wanted:
            if (role, name) not in there:
                content = {"role": role.value, "name": name, "token": new_token()}
                write_private(self.credentials / f"{role}-{name}.json", json.dumps(content) + "\n")

    def read_credentials(self) -> list[dict[str, Any]]:
        """Return what stands in the files, by role and name. Raises InvalidInput, naming a damaged one."""
        return [_read_credential(file) for file in sorted(self.credentials.glob("*.json"))]

    def token(self, role: Role, name: str) -> SecretStr:
        """Return one credential; raises InvalidInput when it is missing from the file."""
        for one in self.read_credentials():
            if (one.get("role"), one.get("name")) == (role, name):
                return SecretStr(one["token"])
        raise InvalidInput(f"{self.credentials} has no file with a token for the {role} {name}.")

    def names(self, role: Role) -> list[str]:
        """Return who has a credential of that role, sorted."""
        return [one["name"] for one in self.read_credentials() if one.get("role") == role]

    def redis_password(self) -> str:
        """Return Redis's password, made at the first start."""
        return _kept_secret(self.redis / "password")

    def door_secret(self) -> str:
        """Return what the web UIs demand of the front door, made at the first start."""
        return _kept_secret(self.door / "secret")


def _read_credential(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"{file} is damaged. Repair it, or move it away to make a new one.") from error


def _kept_secret(file: Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8").strip()


def worker_name(number: int) -> str:
    """Return the name of the worker with this number, from 1."""
    return f"worker-{number}"
