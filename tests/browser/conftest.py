"""The whole workshop behind its front door, and a browser: what a participant at home would have."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from pydantic import SecretStr

from services.auth.accounts import Accounts
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from tests.support.browser import chromium, keep_screenshot
from tests.support.front_door import FrontDoorProcess, SignInProcess, make_certificate
from tests.support.ports import free_port
from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.web_ui import WebUiProcess
from tests.support.worker_process import WorkerProcess

NAMES = ("alice", "bob", "carol")


@dataclass
class Workshop:
    """The processes, and everybody's password."""

    door: FrontDoorProcess
    queue: QueueProcess
    worker: WorkerProcess
    web_uis: dict[str, WebUiProcess]
    accounts: Accounts

    def address(self, name: str) -> str:
        """A participant's own address."""
        return f"{self.door.url}/{name}/"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Everything running and ready."""
    folder: Path = tmp_path_factory.mktemp("workshop")
    certificate, key = make_certificate(folder)
    accounts = Accounts(folder / "accounts.json")
    for name in NAMES:
        accounts.add(name, Role.PARTICIPANT, password_of(name))
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        queue = stack.enter_context(QueueProcess(folder / "queue", redis.url))
        worker = stack.enter_context(WorkerProcess(folder / "worker", queue.url))
        secret = "only-the-door-knows"
        web_uis = {
            name: stack.enter_context(WebUiProcess(folder / "ui", queue.url, name, DOOR_SECRET=secret))
            for name in NAMES
        }
        sign_in = stack.enter_context(SignInProcess(folder, f"127.0.0.1:{queue.port}"))
        workspaces = [WorkspaceAddress(name=name, address=f"127.0.0.1:{ui.port}") for name, ui in web_uis.items()]
        door = FrontDoor(
            http_port=free_port(), https_port=free_port(), listen="127.0.0.1", certificate=certificate,
            certificate_key=key, run_dir=folder, auth=sign_in.address, queue_manager=f"127.0.0.1:{queue.port}",
            workspaces=workspaces, door_secret=SecretStr(secret),
        )  # fmt: skip
        process = stack.enter_context(FrontDoorProcess(door, folder))
        yield Workshop(process, queue, worker, web_uis, accounts)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file's tests. Not for the session: Playwright's loop would be in the way of async tests."""
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: its own cookies and storage."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1400, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab; what it shows at the end of the test is kept."""
    page = context.new_page()
    yield page
    keep_screenshot(page, request.node.name)


def password_of(name: str) -> str:
    """A participant's password, for tests only."""
    return f"{name}'s own password"
