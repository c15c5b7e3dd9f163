"""The whole workshop behind its front door, in real processes: what participants at home would have."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from services.auth.accounts import Accounts
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from services.frontend.page_files import ensure_page_files
from tests.support.front_door import FrontDoorProcess, SignInProcess, make_certificate
from tests.support.ports import free_port
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.web_ui import WebUiProcess
from tests.support.worker_process import WorkerProcess

NAMES = ("alice", "bob", "carol")
DOOR_SECRET = "only-the-door-knows"
STAFF = (("instructor", "ines"), ("operator", "otto"), ("worker", "gpu-1"))


@dataclass
class Workshop:
    """The processes, their configuration, and everybody's password."""

    folder: Path
    configuration: FrontDoor
    door: FrontDoorProcess
    sign_in: SignInProcess
    queue: QueueProcess
    worker: WorkerProcess
    web_uis: dict[str, WebUiProcess]
    accounts: Accounts
    redis: RedisServer

    def address(self, name: str) -> str:
        """A participant's own address."""
        return f"{self.door.url}/{name}/"

    def logs(self) -> str:
        """What all of them have logged so far."""
        web_uis = [ui.log for ui in self.web_uis.values()]
        files = [self.door.log, self.sign_in.log, self.queue.log, self.worker.log, *web_uis]
        return "".join(file.read_text(errors="replace") for file in files)


@contextmanager
def workshop_room(
    folder: Path, names: tuple[str, ...] = NAMES, *, engine: Mapping[str, str] | None = None, **web_ui_settings: str
) -> Iterator[Workshop]:
    """Everything running and ready; `web_ui_settings`: names without FRONTEND_; `engine`: names without REHEARSAL_."""
    variables = {f"REHEARSAL_{name}": value for name, value in (engine or {}).items()}
    certificate, key = make_certificate(folder)
    ensure_page_files(folder / "page")
    accounts = Accounts(folder / "accounts")
    for name in names:
        accounts.add(name, Role.PARTICIPANT, password_of(name))
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        people = (*(("participant", name) for name in names), *STAFF)
        queue = stack.enter_context(QueueProcess(folder / "queue", redis.url, people=people))
        worker = stack.enter_context(WorkerProcess(folder / "worker", queue.url, environment=variables))
        web_uis = {
            name: stack.enter_context(
                WebUiProcess(folder / "ui", queue.url, name, DOOR_SECRET=DOOR_SECRET, **web_ui_settings)
            )
            for name in names
        }
        sign_in = stack.enter_context(SignInProcess(folder, f"127.0.0.1:{queue.port}"))
        workspaces = [WorkspaceAddress(name=name, address=f"127.0.0.1:{ui.port}") for name, ui in web_uis.items()]
        door = FrontDoor(
            http_port=free_port(), https_port=free_port(), listen="127.0.0.1", public_host="127.0.0.1",
            certificate=certificate, certificate_key=key, run_dir=folder, page_dir=folder / "page",
            auth=sign_in.address, queue_manager=f"127.0.0.1:{queue.port}", workspaces=workspaces,
            door_secret=SecretStr(DOOR_SECRET), user="root" if os.geteuid() == 0 else None,
        )  # fmt: skip
        process = stack.enter_context(FrontDoorProcess(door, folder))
        yield Workshop(folder, door, process, sign_in, queue, worker, web_uis, accounts, redis)


def password_of(name: str) -> str:
    """A participant's password, for tests only."""
    return f"{name}'s own password"
