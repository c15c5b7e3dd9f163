"""What the front door of a local workshop needs before it starts: certificate, accounts, files, configuration."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from itertools import count

from pydantic import SecretStr

from services.domain.errors import NotFound
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from services.kit.private_file import write_private
from services.local.folder import WorkshopFolder
from services.local.front_door_config import render_front_door
from services.local.settings import WorkshopSettings

CERTIFICATE_DAYS = 365
SIGNING_IN = (Role.PARTICIPANT, Role.INSTRUCTOR, Role.OPERATOR)
"""Who finds something behind the front door: a web UI of one's own, or the console."""

HINT = "On Debian and Ubuntu `make up` installs it; elsewhere use your package manager."


def require_front_door_programs() -> None:
    """Raise NotFound unless nginx and openssl are on the PATH."""
    for program in ("nginx", "openssl"):
        if shutil.which(program) is None:
            raise NotFound(f"There is no {program} on the PATH. {HINT}")


def web_ui_ports(settings: WorkshopSettings, folder: WorkshopFolder) -> dict[str, int]:
    """Which port belongs to which participant's web UI. Whoever has one keeps it, whoever else comes or goes."""
    files = {name: folder.web_ui(name) / "port" for name in folder.names(Role.PARTICIPANT)}
    ports = {name: int(file.read_text()) for name, file in files.items() if file.exists()}
    free = (port for port in count(settings.web_ui_port) if port not in set(ports.values()))
    for name, file in files.items():
        if name not in ports:
            ports[name] = next(free)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(file, str(ports[name]))
    return {name: ports[name] for name in files}


def prepare_front_door(settings: WorkshopSettings, folder: WorkshopFolder) -> None:
    """Make certificate, accounts, the page's files and the configuration; what is there already stays."""
    _ensure_certificate(folder)
    _ensure_accounts(settings, folder)
    _run("services.frontend.page_files", str(folder.page))
    for name in web_ui_ports(settings, folder):
        write_private(folder.web_ui(name) / "token", folder.token(Role.PARTICIPANT, name).get_secret_value())
    write_private(folder.console_token, folder.token(Role.OPERATOR, "operator").get_secret_value())
    write_private(folder.door / "nginx.conf", render_front_door(_door(settings, folder)))


def auth_environment(settings: WorkshopSettings, folder: WorkshopFolder) -> dict[str, str]:
    """The sign-in service's settings."""
    return {
        "AUTH_PORT": str(settings.auth_port),
        "AUTH_ACCOUNTS_DIR": str(folder.accounts),
        "AUTH_SESSION_KEYS_FILE": str(folder.door / "session-keys"),
        "AUTH_QUEUE_URL": settings.url,
    }


def _door(settings: WorkshopSettings, folder: WorkshopFolder) -> FrontDoor:
    return FrontDoor(
        http_port=settings.door_http_port,
        https_port=settings.door_port,
        listen=settings.host,
        public_host=settings.host if settings.host == "127.0.0.1" else None,
        certificate=folder.door / "certificate.pem",
        certificate_key=folder.door / "certificate.key",
        run_dir=folder.door,
        page_dir=folder.page,
        auth=f"127.0.0.1:{settings.auth_port}",
        queue_manager=f"127.0.0.1:{settings.queue_port}",
        admin=f"127.0.0.1:{settings.console_port}",
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


def new_password(settings: WorkshopSettings, folder: WorkshopFolder, name: str) -> str:
    """Change one person's password; raises NotFound where nobody has that name."""
    people = _people(folder)
    if name not in {entry["name"] for entry in people}:
        raise NotFound(f"name: nobody here is called '{name}'; see {folder.sign_in}.")
    password = _auth(settings, folder, "rekey", name).strip()
    changed = [entry | {"password": password} if entry["name"] == name else entry for entry in people]
    write_private(folder.sign_in, json.dumps(changed, indent=2) + "\n")
    return password


def _people(folder: WorkshopFolder) -> list[dict[str, str]]:
    if not folder.sign_in.exists():
        return []
    people: list[dict[str, str]] = json.loads(folder.sign_in.read_text(encoding="utf-8"))
    return people


def _ensure_accounts(settings: WorkshopSettings, folder: WorkshopFolder) -> None:
    """Give a password to everybody who has none, and take it from whoever left.

    The sign-in service keeps only hashes, so the passwords are written down here.
    """
    roles = {name: role for role in SIGNING_IN for name in folder.names(role)}
    known = _people(folder)
    here = [entry for entry in known if (folder.accounts / f"{entry['name']}.json").exists()]
    kept = [entry for entry in here if entry["name"] in roles]
    for entry in here:
        if entry not in kept:
            _auth(settings, folder, "remove", entry["name"])
    for role in SIGNING_IN:
        missing = [name for name in roles if roles[name] is role and name not in {one["name"] for one in kept}]
        for name in missing:  # an account whose password nobody has written down helps nobody
            (folder.accounts / f"{name}.json").unlink(missing_ok=True)
        if missing:
            kept += _add_accounts(settings, folder, role, missing)
    write_private(folder.sign_in, json.dumps(kept, indent=2) + "\n")


def _add_accounts(
    settings: WorkshopSettings, folder: WorkshopFolder, role: Role, names: list[str]
) -> list[dict[str, str]]:
    printed = _auth(settings, folder, "add", "--role", role.value, *names)
    return [
        {"name": name, "address": f"{settings.door_url}/{_workspace_of(role, name)}/", "password": password}
        for name, password in (line.split("\t") for line in printed.splitlines())
    ]


def _workspace_of(role: Role, name: str) -> str:
    """The first part of somebody's address."""
    return name if role is Role.PARTICIPANT else "admin"


def _auth(settings: WorkshopSettings, folder: WorkshopFolder, *arguments: str) -> str:
    """Run the sign-in service's command line; it may run beside the service itself."""
    return _run("services.auth", *arguments, **auth_environment(settings, folder))


def _run(module: str, *arguments: str, **variables: str) -> str:
    """Run a command of another service and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | variables, check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    return done.stdout
