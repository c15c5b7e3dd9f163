"""The parts of a workshop in the order in which they start: command, environment, patience. Decides; starts nothing."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.domain.names import Role
from services.kit.private_file import write_private
from services.local.folder import WorkshopFolder, worker_name
from services.local.front_door import auth_environment, web_ui_ports
from services.local.settings import WorkshopSettings

REPOSITORY = Path(__file__).resolve().parents[2]

REDIS = "redis"
QUEUE_MANAGER = "queue-manager"
AUTH = "sign-in"
CONSOLE = "console"
DOOR = "front-door"
WEB_UI = "web-ui-"
"""How the names of the web UIs' parts begin; the participant's name follows."""

STOP_SECONDS = 20.0
"""Between SIGTERM and SIGKILL for parts that only have to close files; takes well under a second when all is well."""

_REDIS_CONFIG = """\
# Written by the workshop at each start; change its settings instead.
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
daemonize no
# The queue is the only copy of the jobs: each change is on the disk before it is answered (README: what that costs).
appendonly yes
appendfsync always
save ""
# A full Redis refuses new jobs; it must never throw old ones away to make room.
maxmemory {memory_mb}mb
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class Part:
    """One process of the workshop. Parts of one stage start and stop together; a later stage needs the earlier ones."""

    name: str
    stage: int
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_seconds: float
    place: str

    def full_environment(self) -> dict[str, str]:
        """The part's variables over those of whoever started the workshop, so that QUEUE_ and WORKER_ ones reach it."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment}


def write_redis_config(settings: WorkshopSettings, folder: WorkshopFolder) -> Path:
    """Write Redis's configuration, which holds its password, and return where."""
    file = folder.redis / "redis.conf"
    text = _REDIS_CONFIG.format(
        port=settings.redis_port,
        password=folder.redis_password(),
        folder=folder.redis,
        memory_mb=settings.redis_memory_mb,
    )
    write_private(file, text)
    return file


def parts_of(settings: WorkshopSettings, folder: WorkshopFolder) -> list[Part]:
    """Return the parts, each after those it needs."""
    return [
        _redis(settings, folder),
        _queue_manager(settings, folder),
        *(_worker(settings, folder, worker_name(number)) for number in range(1, settings.workers + 1)),
        _auth(settings, folder),
        _console(settings, folder),
        *(_web_ui(settings, folder, name, port) for name, port in web_ui_ports(settings, folder).items()),
        _door(settings, folder),
    ]


def _redis(settings: WorkshopSettings, folder: WorkshopFolder) -> Part:
    command = ("redis-server", str(folder.redis / "redis.conf"))
    return Part(REDIS, 0, command, {}, STOP_SECONDS, f"127.0.0.1:{settings.redis_port}")


def _queue_manager(settings: WorkshopSettings, folder: WorkshopFolder) -> Part:
    environment = {
        "QUEUE_REDIS_URL": f"redis://:{folder.redis_password()}@127.0.0.1:{settings.redis_port}/0",
        "QUEUE_DATA_DIR": str(folder.queue),
        "QUEUE_HOST": settings.host,
        "QUEUE_PORT": str(settings.queue_port),
        "QUEUE_CREDENTIALS_DIR": str(folder.credentials),
    }
    command = (sys.executable, "-m", "services.queue_manager")
    return Part(QUEUE_MANAGER, 1, command, environment, STOP_SECONDS, settings.url)


def _auth(settings: WorkshopSettings, folder: WorkshopFolder) -> Part:
    command = (sys.executable, "-m", "services.auth", "serve")
    return Part(AUTH, 2, command, auth_environment(settings, folder), STOP_SECONDS, f"127.0.0.1:{settings.auth_port}")


def _console(settings: WorkshopSettings, folder: WorkshopFolder) -> Part:
    environment = {
        "ADMIN_PORT": str(settings.console_port),
        "ADMIN_QUEUE_URL": settings.url,
        "ADMIN_TOKEN_FILE": str(folder.console_token),
        "ADMIN_DOOR_SECRET": folder.door_secret(),
    }
    command = (sys.executable, "-m", "services.admin")
    return Part(CONSOLE, 2, command, environment, STOP_SECONDS, f"{settings.door_url}/admin/")


def _web_ui(settings: WorkshopSettings, folder: WorkshopFolder, name: str, port: int) -> Part:
    environment = {
        "FRONTEND_PARTICIPANT": name,
        "FRONTEND_QUEUE_URL": settings.url,
        "FRONTEND_TOKEN_FILE": str(folder.web_ui(name) / "token"),
        "FRONTEND_DATA_DIR": str(folder.web_ui(name)),
        "FRONTEND_PORT": str(port),
        "FRONTEND_DOOR_SECRET": folder.door_secret(),
    }
    command = (sys.executable, "-m", "services.frontend")
    return Part(f"{WEB_UI}{name}", 2, command, environment, STOP_SECONDS, f"{settings.door_url}/{name}/")


def _door(settings: WorkshopSettings, folder: WorkshopFolder) -> Part:
    command = ("nginx", "-p", str(folder.door), "-c", str(folder.door / "nginx.conf"))
    return Part(DOOR, 3, command, {}, STOP_SECONDS, settings.door_url)


def _worker(settings: WorkshopSettings, folder: WorkshopFolder, name: str) -> Part:
    environment = {
        "WORKER_NAME": name,
        "WORKER_QUEUE_URL": settings.url,
        "WORKER_TOKEN": folder.token(Role.WORKER, name).get_secret_value(),
        "WORKER_DATA_DIR": str(folder.worker(name)),
        "WORKER_DRAIN_SECONDS": str(settings.drain_seconds),
    }
    place = "rehearsal engine"
    if settings.comfyui_url is not None:
        environment |= {"WORKER_BACKEND": "url", "WORKER_COMFYUI_URL": str(settings.comfyui_url)}
        place = f"ComfyUI at {settings.comfyui_url}"
    elif settings.comfyui_dir is not None:
        environment |= {"WORKER_BACKEND": "local", "WORKER_COMFYUI_DIR": str(settings.comfyui_dir.resolve())}
        place = f"ComfyUI in {settings.comfyui_dir}"
        if settings.comfyui_python is not None:
            # Not resolved: an environment's python is a link, and following it would leave the environment.
            environment["WORKER_COMFYUI_PYTHON"] = str(settings.comfyui_python.absolute())
    else:
        environment["WORKER_BACKEND"] = "rehearsal"
    command = (sys.executable, "-m", "services.worker")
    return Part(name, 2, command, environment, settings.drain_seconds + STOP_SECONDS, place)
