"""Start the queue manager: read the settings, serve until told to end. `python -m services.queue_manager`."""

import gc
import socket
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from services.domain.errors import WorkshopError
from services.kit.logs import configure_logs, get_logger
from services.queue_manager.app import create_app
from services.queue_manager.credentials_folder import require_folder
from services.queue_manager.frames import FanOutProtocol
from services.queue_manager.settings import QueueManagerSettings

GOODBYE_SECONDS = 10
"""How long running requests may take to finish once the process was told to end."""

MAX_MESSAGE_FROM_VIEWER = 65536
"""Bytes; viewers have nothing to say, and what they say is not listened to."""
KEEP_ALIVE_SECONDS = 75
"""Longer than nginx (60 s) and our clients keep an idle connection: who opens it closes it, so no request meets a
closing one.
"""

log = get_logger("services.queue_manager")


class Server(uvicorn.Server):
    """uvicorn, with a word to the parked requests when it ends and a quiet garbage collector once it runs."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the socket and say so."""
        await super().startup(sockets)
        if self.started:
            # What exists now lives as long as the process: walking through it again and again is wasted time.
            gc.collect()
            gc.freeze()
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            log.info("ready", host=host, port=port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order at the first signal, at once at the second; the orderly end exits with 0, not by the signal."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the parked requests go first, then wait for the others."""
        self.config.app.state.stopping.set()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket before anything else, so that a port in use is one sentence; raises OSError."""
    family, kind, proto, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, proto)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    return listening


def main() -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    try:
        settings = QueueManagerSettings()
        require_folder(settings.credentials_dir)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        print(
            f"The setting QUEUE_{'_'.join(map(str, first['loc'])).upper()} is not valid: {first['msg']}.",
            file=sys.stderr,
        )
        return 2
    except WorkshopError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    configure_logs(settings.log_level)
    try:
        listening = listen(settings.host, settings.port)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        print(f"Cannot listen on {where} ({error.strerror}); change QUEUE_PORT or QUEUE_HOST.", file=sys.stderr)
        return 1
    server = Server(
        uvicorn.Config(
            create_app(settings),
            loop="uvloop",
            http="httptools",
            ws=FanOutProtocol,
            ws_max_size=MAX_MESSAGE_FROM_VIEWER,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
    )
    server.run(sockets=[listening])
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
