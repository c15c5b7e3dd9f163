"""`python -m services.worker.rehearsal`: the engine as a server, until SIGTERM or Ctrl-C."""

import asyncio
import logging
import os
import signal
import sys

from aiohttp import web
from pydantic import ValidationError

from services.worker.rehearsal.server.app import create_app
from services.worker.rehearsal.settings import RehearsalSettings

log = logging.getLogger("rehearsal")


async def serve(settings: RehearsalSettings) -> int:
    """Run the server; returns the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(create_app(settings), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        log.error("cannot listen on %s port %s (%s); set REHEARSAL_PORT", settings.host, settings.port, error.strerror)
        await runner.cleanup()
        return 1
    port = runner.addresses[0][1]
    log.info("ready: rehearsal engine (no model runs) on http://%s:%s", settings.host, port)
    await stop.wait()
    await runner.cleanup()
    return 0


def main() -> None:
    """Read the settings and serve. A prompt that still runs, or hangs, does not keep the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = RehearsalSettings()
    except ValidationError as error:
        for problem in error.errors():
            log.error("REHEARSAL_%s: %s", "_".join(map(str, problem["loc"])).upper(), problem["msg"])
        sys.exit(2)
    status = asyncio.run(serve(settings))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
