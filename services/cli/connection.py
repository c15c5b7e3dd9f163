"""Who asks whom: finds the address and the credential, from the environment or from a local workshop's folder.

Responsible for the folder's `credentials/` as far as the command line changes it, too: a participant who is added,
removed or rotated here must still be so after the workshop's next start.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from services.cli.settings import CliSettings
from services.domain.errors import InvalidInput, NotFound, NotSignedIn
from services.domain.names import Role
from services.kit.api_client import ApiClient
from services.kit.private_file import write_private

DEFAULT_URL = "http://127.0.0.1:8180"
_REPOSITORY = Path(__file__).resolve().parents[2]


class Credential(BaseModel):
    """One file of `credentials/`."""

    role: Role
    name: str
    token: SecretStr


@dataclass(frozen=True)
class WorkshopFolder:
    """What the command line reads and writes in a local workshop's folder."""

    path: Path

    @property
    def credentials_folder(self) -> Path:
        """The tokens of everybody in this workshop, readable by its owner only."""
        return self.path / "credentials"

    def credentials(self) -> list[Credential]:
        """Return the workshop's credentials by role and name; raises InvalidInput when one is damaged."""
        return [_read(file) for file in sorted(self.credentials_folder.glob("*.json"))]

    def url(self) -> str:
        """Return where the workshop runs, or ran last."""
        try:
            return str(json.loads((self.path / "running.json").read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return DEFAULT_URL

    def keep(self, role: Role, name: str, token: str | None) -> None:
        """Record a new token, or with None that there is none any more."""
        file = self.credentials_folder / f"{role}-{name}.json"
        if token is None:
            file.unlink(missing_ok=True)
        else:
            write_private(file, json.dumps({"role": role, "name": name, "token": token}) + "\n")


def _read(file: Path) -> Credential:
    try:
        return Credential.model_validate_json(file.read_bytes())
    except (ValidationError, OSError) as error:
        raise InvalidInput(
            f"{file} cannot be read as role, name and token. Set COMFYUME_TOKEN instead, or repair the file."
        ) from error


def find_workshop(settings: CliSettings) -> WorkshopFolder | None:
    """Return the local workshop's folder, None where there is none."""
    if settings.workshop is not None:
        folder = WorkshopFolder(settings.workshop)
        if not folder.credentials_folder.is_dir():
            raise NotFound("COMFYUME_WORKSHOP names a folder without credentials. Start that workshop once first.")
        return folder
    here = Path.cwd()
    for place in (here, *here.parents, _REPOSITORY):
        folder = WorkshopFolder(place / "workshop")
        if folder.credentials_folder.is_dir():
            return folder
    return None


def choose(credentials: list[Credential], role: Role, name: str) -> Credential:
    """Pick the credential called `name`, or without one the first of the wanted role."""
    for known in credentials:
        if known.name == name if name else known.role is role:
            return known
    if name:
        names = ", ".join(known.name for known in credentials)
        raise NotFound(f"--as {name}: the local workshop has no credential of that name. It has: {names}.")
    raise NotFound(f"The local workshop has no credential for the role {role}. Name one of its people with --as.")


@dataclass(frozen=True)
class Connection:
    """A client, and the local workshop's folder if its credential came from there."""

    api: ApiClient
    workshop: WorkshopFolder | None


def connect(role: Role, name: str = "") -> Connection:
    """Return a connection for a verb that needs `role`; `name` is what --as says.

    Raises NotSignedIn when there is neither COMFYUME_TOKEN nor a local workshop.
    """
    settings = CliSettings()
    address = str(settings.url) if settings.url else None
    if settings.token is not None and not name:
        return Connection(ApiClient(address or DEFAULT_URL, settings.token), None)
    folder = find_workshop(settings)
    if folder is None:
        raise NotSignedIn(
            "There is no credential. Set COMFYUME_TOKEN (and COMFYUME_URL), or start a workshop: make up."
        )
    credential = choose(folder.credentials(), role, name)
    return Connection(ApiClient(address or folder.url(), credential.token), folder)
