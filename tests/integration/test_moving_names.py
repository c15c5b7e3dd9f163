"""Names behind the front door that appear late and move: a real nginx, a real DNS server, addresses of loopback."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.auth.accounts import Accounts
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from tests.support.front_door import FrontDoorProcess, SignInProcess, make_certificate
from tests.support.name_server import NameServer
from tests.support.ports import free_port
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

PASSWORD = "anna's own password"


@contextmanager
def container(address: str, port: int) -> Iterator[None]:
    """Something that listens at an address of its own, and tells which."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = f"{address} {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer((address, port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def test_a_name_may_appear_late_and_move_and_the_others_are_served_meanwhile(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    Accounts(tmp_path / "accounts").add("anna", Role.PARTICIPANT, PASSWORD)
    port = free_port()
    with ExitStack() as stack:
        names = stack.enter_context(NameServer())
        sign_in = stack.enter_context(SignInProcess(tmp_path))
        names.addresses = {"auth": "127.0.0.1"}
        door = FrontDoor(
            http_port=free_port(), https_port=free_port(), listen="127.0.0.1", certificate=certificate,
            certificate_key=key, run_dir=tmp_path, auth=f"auth:{sign_in.port}", queue_manager=f"queue-manager:{port}",
            admin=f"admin:{port}", workspaces=[WorkspaceAddress(name="anna", address=f"frontend-anna:{port}")],
            door_secret=SecretStr("door"), resolver=names.address,
        )  # fmt: skip
        process = stack.enter_context(FrontDoorProcess(door, tmp_path))
        trust = ssl.create_default_context(cafile=str(certificate))
        browser = stack.enter_context(
            httpx.Client(base_url=process.url, verify=trust, auth=("anna", PASSWORD), timeout=60)
        )

        def body(path: str) -> str:
            answer = browser.get(path)
            return answer.text if answer.status_code == 200 else str(answer.status_code)

        assert "Your workspace" in browser.get("/").text, "the sign-in is served while nobody else has a name"
        assert [body("/anna/x"), body("/api/x")] == ["502", "502"]

        stack.enter_context(container("127.0.0.2", port))
        names.addresses |= {"frontend-anna": "127.0.0.2", "queue-manager": "127.0.0.2"}
        wait_for(lambda: body("/anna/a%2Fb?c=d") == "127.0.0.2 /a%2Fb?c=d", "the late name to be served")
        wait_for(lambda: body("/api/jobs?limit=1") == "127.0.0.2 /api/jobs?limit=1", "the queue manager to be served")
        assert browser.get("/admin/").status_code == 403, "the console's name is still unknown, and she may not enter"

        stack.enter_context(container("127.0.0.3", port))
        names.addresses |= {"frontend-anna": "127.0.0.3"}
        wait_for(lambda: body("/anna/x") == "127.0.0.3 /x", "the moved name to be followed while the old one answers")
        assert body("/api/x") == "127.0.0.2 /api/x"
