"""`python -m services.worker`: read the settings, work until SIGTERM. Exit status 2 for settings or engines that
cannot work.
"""

import asyncio
import logging
import signal
import sys

from pydantic import ValidationError

from services.kit.logs import configure_logs
from services.worker.agent import Agent, CannotStart
from services.worker.comfyui.backend import EngineRefused
from services.worker.settings import WorkerSettings


async def _work(settings: WorkerSettings) -> None:
    agent = Agent(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.drain)
    await agent.run()


def main() -> None:
    """Run one worker; SIGTERM drains it, a second one gives its job back at once."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        for problem in error.errors():
            field = "WORKER_" + "_".join(map(str, problem["loc"])).upper() if problem["loc"] else "settings"
            print(f"{field}: {problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(2)
    configure_logs(settings.log_level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request says nothing that ours do not
    try:
        asyncio.run(_work(settings))
    except (CannotStart, EngineRefused) as error:
        print(str(error), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
