"""Whether a part is ready, asked of the part itself, and whether its port is free before it starts."""

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx

from services.domain.errors import Conflict, NotFound, WorkshopError
from services.domain.names import Role
from services.kit.api_client import ApiClient
from services.local.folder import WorkshopFolder
from services.local.parts import AUTH, CONSOLE, DOOR, QUEUE_MANAGER, REDIS, WEB_UI, Part
from services.local.settings import WorkshopSettings

REDIS_MAJOR = 7
"""The oldest Redis that the queue's scripts are tested with."""


def require_redis_server() -> None:
    """Raise NotFound or Conflict unless a new enough redis-server is on the PATH."""
    hint = "On Debian and Ubuntu `make up` installs it; elsewhere use your package manager."
    try:
        words = subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFound(f"There is no redis-server on the PATH. {hint}") from error
    version = next((word[2:] for word in words.split() if word.startswith("v=")), "0")
    if int(version.split(".")[0]) < REDIS_MAJOR:
        raise Conflict(f"redis-server {version} is too old; the queue needs {REDIS_MAJOR} or newer.")


def require_free_port(host: str, port: int, part: str, variable: str) -> None:
    """Raise Conflict, naming the setting, when somebody listens at `host`:`port` already or it may not be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do it: a connection that was closed a moment ago does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"Port {port} on {host} is taken ({(error.strerror or 'not usable').lower()}), and {part} needs it. "
                f"Free it, or choose another: {variable}={port + 10 if port < 65000 else port - 10} make up"
            ) from error


def require_free_ports(settings: WorkshopSettings) -> None:
    """Raise Conflict when one of the workshop's ports is taken."""
    require_free_port("127.0.0.1", settings.redis_port, "Redis", "WORKSHOP_REDIS_PORT")
    require_free_port(settings.host, settings.queue_port, "the queue manager", "WORKSHOP_QUEUE_PORT")
    require_free_port("127.0.0.1", settings.auth_port, "the sign-in", "WORKSHOP_AUTH_PORT")
    require_free_port("127.0.0.1", settings.console_port, "the console", "WORKSHOP_CONSOLE_PORT")
    require_free_port(settings.host, settings.door_port, "the front door", "WORKSHOP_DOOR_PORT")
    require_free_port(settings.host, settings.door_http_port, "the front door", "WORKSHOP_DOOR_HTTP_PORT")
    require_free_port("127.0.0.1", settings.web_ui_port, "the first web UI", "WORKSHOP_WEB_UI_PORT")


class Probes:
    """Asks the parts of one workshop whether they are ready."""

    def __init__(self, settings: WorkshopSettings, folder: WorkshopFolder) -> None:
        self._settings = settings
        self._folder = folder

    def ready(self, part: Part, since_ms: int = 0) -> bool:
        """Say whether the part answers; a worker must have been seen by the queue manager after `since_ms`."""
        if part.name == REDIS:
            return self._redis_answers()
        if part.name == QUEUE_MANAGER:
            return self._queue_manager_answers()
        if part.name == AUTH:
            return _answers(f"http://127.0.0.1:{self._settings.auth_port}/healthz")
        if part.name == CONSOLE:
            return _answers(f"http://127.0.0.1:{self._settings.console_port}/healthz")
        if part.name == DOOR:
            return _answers(f"{self._settings.door_url}/", trust=self._folder.door / "certificate.pem")
        if part.name.startswith(WEB_UI):
            return _answers(f"http://127.0.0.1:{part.environment['FRONTEND_PORT']}/healthz")
        return self._worker_is_seen(part.name, since_ms)

    def _redis_answers(self) -> bool:
        import redis  # here, because it takes longer to import than everything else, and `up` alone asks Redis

        port, password = self._settings.redis_port, self._folder.redis_password()
        try:
            with redis.Redis(port=port, password=password, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:  # refused, or still loading its file
            return False

    def _queue_manager_answers(self) -> bool:
        return self._ask("/readyz") is not None

    def _worker_is_seen(self, name: str, since_ms: int) -> bool:
        workers = self._ask("/api/workers") or []
        return any(
            one["name"] == name and one["state"] in ("idle", "busy") and one["last_seen"] >= since_ms for one in workers
        )

    def _ask(self, path: str) -> Any:
        """Return the queue manager's answer as the operator gets it, None while there is none."""
        token = self._folder.token(Role.OPERATOR, "operator")
        try:
            with ApiClient(self._settings.url, token) as api:
                return api.send("GET", path, repeatable=False)
        except WorkshopError:
            return None


def _answers(url: str, trust: Path | None = None) -> bool:
    verify = ssl.create_default_context(cafile=str(trust)) if trust else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust:
        verify.check_hostname = False  # the certificate is for this machine, by whatever name
    try:
        return httpx.get(url, verify=verify, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
