"""What the front door of a local workshop needs before it starts: certificate, accounts, nginx's configuration."""

import json
import os
import pwd
import shutil
import subprocess
import sys

from pydantic import SecretStr

from services.domain.errors import NotFound
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from services.kit.private_file import write_private
from services.local.folder import WorkshopFolder
from services.local.front_door_config import render_front_door
from services.local.settings import WorkshopSettings

CERTIFICATE_DAYS = 365
HINT = "On Debian and Ubuntu `make up` installs it; elsewhere use your package manager."


def require_front_door_programs() -> None:
    """Raise NotFound unless nginx and openssl are on the PATH."""
    for program in ("nginx", "openssl"):
        if shutil.which(program) is None:
            raise NotFound(f"There is no {program} on the PATH. {HINT}")


def web_ui_ports(settings: WorkshopSettings, folder: WorkshopFolder) -> dict[str, int]:
    """Which port belongs to which participant's web UI; the order of the credentials' file decides."""
    return {name: settings.web_ui_port + number for number, name in enumerate(folder.names(Role.PARTICIPANT))}


def prepare_front_door(settings: WorkshopSettings, folder: WorkshopFolder) -> None:
    """Make certificate, accounts and configuration; what is there already stays."""
    _ensure_certificate(folder)
    _ensure_accounts(settings, folder)
    for name in folder.names(Role.PARTICIPANT):
        folder.web_ui(name).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder.web_ui(name) / "token", folder.token(Role.PARTICIPANT, name).get_secret_value())
    write_private(folder.door / "nginx.conf", render_front_door(_door(settings, folder)))


def auth_environment(settings: WorkshopSettings, folder: WorkshopFolder) -> dict[str, str]:
    """The sign-in service's settings."""
    return {
        "AUTH_PORT": str(settings.auth_port),
        "AUTH_ACCOUNTS_FILE": str(folder.door / "accounts.json"),
        "AUTH_SESSION_KEYS_FILE": str(folder.door / "session-keys"),
        "AUTH_QUEUE_URL": settings.url,
    }


def _door(settings: WorkshopSettings, folder: WorkshopFolder) -> FrontDoor:
    return FrontDoor(
        http_port=settings.door_http_port,
        https_port=settings.door_port,
        listen=settings.host,
        certificate=folder.door / "certificate.pem",
        certificate_key=folder.door / "certificate.key",
        run_dir=folder.door,
        auth=f"127.0.0.1:{settings.auth_port}",
        queue_manager=f"127.0.0.1:{settings.queue_port}",
        workspaces=[
            WorkspaceAddress(name=name, address=f"127.0.0.1:{port}")
            for name, port in web_ui_ports(settings, folder).items()
        ],
        door_secret=SecretStr(folder.door_secret()),
        # As root nginx would work as "nobody", who may not look into the workshop's folder.
        user=pwd.getpwuid(0).pw_name if os.geteuid() == 0 else None,
    )


def _ensure_certificate(folder: WorkshopFolder) -> None:
    certificate, key = folder.door / "certificate.pem", folder.door / "certificate.key"
    if certificate.exists() and key.exists():
        return
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", str(CERTIFICATE_DAYS), "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=ComfyuME",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    key.chmod(0o600)


def _ensure_accounts(settings: WorkshopSettings, folder: WorkshopFolder) -> None:
    """Give a password to everybody who has none; the sign-in service keeps only hashes, so it is written down here."""
    known = json.loads(folder.sign_in.read_text(encoding="utf-8")) if folder.sign_in.exists() else []
    named = {entry["name"] for entry in known}
    for role in (Role.PARTICIPANT, Role.INSTRUCTOR, Role.OPERATOR):
        missing = [name for name in folder.names(role) if name not in named]
        if missing:
            known += _add_accounts(settings, folder, role, missing)
    write_private(folder.sign_in, json.dumps(known, indent=2) + "\n")


def _add_accounts(
    settings: WorkshopSettings, folder: WorkshopFolder, role: Role, names: list[str]
) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "services.auth", "add", "--role", role.value, *names],
        env=os.environ | auth_environment(settings, folder),
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    place = "{name}/" if role is Role.PARTICIPANT else ""
    return [
        {"name": name, "address": f"{settings.door_url}/{place.format(name=name)}", "password": password}
        for name, password in (line.split("\t") for line in done.stdout.splitlines())
    ]
