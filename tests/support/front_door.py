"""A real nginx with the product's own configuration, a real sign-in service, and upstreams that say what they saw."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from services.domain.front_door import FrontDoor
from services.local.front_door_config import render_front_door
from tests.support.ports import free_port
from tests.support.wait import wait_for


class Upstream(BaseHTTPRequestHandler):
    """Answers every request with what arrived: method, raw path, headers, size of the body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Describe the request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if self.command != "GET" else b""
        seen = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body_bytes": len(body)}
        content = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server calls these names

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def upstream() -> Iterator[str]:
    """An upstream's `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1: (certificate, key)."""
    certificate, key = folder / "door.crt", folder / "door.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate, key


class SignInProcess:
    """`python -m services.auth serve` on a free port."""

    def __init__(self, folder: Path, queue: str = "127.0.0.1:9") -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {
            "AUTH_PORT": str(self.port),
            "AUTH_QUEUE_URL": f"http://{queue}",
            "AUTH_ACCOUNTS_DIR": str(folder / "accounts"),
            "AUTH_SESSION_KEYS_FILE": str(folder / "session-keys"),
        }
        self.log = folder / "auth.log"

    def __enter__(self) -> "SignInProcess":
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.auth", "serve"],
                env=os.environ | self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(lambda: answers(f"http://{self.address}/healthz"), "the sign-in service to answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)


class FrontDoorProcess:
    """nginx in the foreground, with the configuration that the workshop uses."""

    def __init__(self, door: FrontDoor, folder: Path) -> None:
        self.url = f"https://127.0.0.1:{door.https_port}"
        self.trust = ssl.create_default_context(cafile=str(door.certificate))
        self.log = folder / "nginx.log"
        self._configuration = folder / "nginx.conf"
        self._folder = folder
        self.configure(door)

    def configure(self, door: FrontDoor) -> None:
        """Write the configuration; a running nginx takes it over at `reload`."""
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(render_front_door(door))

    def start(self) -> None:
        """Start it (again) and return when it answers."""
        with self.log.open("ab") as log:
            command = ["nginx", "-p", str(self._folder), "-c", str(self._configuration)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._is_up, "nginx to answer")

    def stop(self) -> None:
        """End it at once; every open connection breaks."""
        self._process.terminate()
        self._process.wait(60)

    def __enter__(self) -> "FrontDoorProcess":
        self.start()
        return self

    def reload(self) -> None:
        """Take the written configuration over; open connections stay."""
        os.kill(self._process.pid, signal.SIGHUP)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_up(self) -> bool:
        assert self._process.poll() is None, f"nginx ended: {self.log.read_text(errors='replace')[-2000:]}"
        return answers(f"{self.url}/", verify=self.trust)


def answers(url: str, *, verify: bool | ssl.SSLContext = True) -> bool:
    """Whether anything answers at that address."""
    try:
        httpx.get(url, verify=verify, timeout=5)
    except httpx.TransportError:
        return False
    return True
