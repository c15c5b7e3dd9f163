"""`python -m services.admin`: serve the console until told to stop."""

import logging
import socket
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from services.admin.app import create_app
from services.admin.settings import AdminSettings
from services.kit.logs import configure_logs, get_logger

GOODBYE_SECONDS = 5
"""How long running answers may take once the process was told to end."""


class Server(uvicorn.Server):
    """uvicorn, with a word to the open streams when it ends; the orderly end exits with 0."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the socket and say so."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            get_logger("services.admin").info("ready", host=host, port=port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order at the first signal, at once at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the open streams go first, then wait for the others."""
        self.config.app.state.board.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def main() -> None:
    """Read the environment and serve."""
    try:
        settings = AdminSettings()
    except ValidationError as error:
        fields = ", ".join(f"ADMIN_{'_'.join(map(str, item['loc'])).upper()}" for item in error.errors())
        sys.exit(f"{fields}: missing or not usable; set it in the environment or as a file in /run/secrets.")
    configure_logs()
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each question says nothing that ours do not
    config = uvicorn.Config(
        create_app(settings), host=settings.host, port=settings.port, access_log=False, log_config=None,
        server_header=False, timeout_graceful_shutdown=GOODBYE_SECONDS,
    )  # fmt: skip
    Server(config).run()


if __name__ == "__main__":
    main()
