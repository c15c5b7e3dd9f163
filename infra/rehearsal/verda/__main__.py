"""`python -m infra.rehearsal.verda --cloud DIR [--port N]`: prints the base URL and serves until its parent is gone."""

import argparse
import asyncio
from pathlib import Path

from aiohttp import web

from infra.rehearsal.parents import end_with_parent
from infra.rehearsal.verda.app import create_app

HOST = "127.0.0.1"


async def _serve(cloud: Path, port: int) -> None:
    runner = web.AppRunner(create_app(cloud), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    await site.start()
    print(f"http://{HOST}:{runner.addresses[0][1]}/v1", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.rehearsal.verda", description="A rehearsal of Verda's API.")
    parser.add_argument("--cloud", type=Path, required=True, help="folder of the rehearsed cloud")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    chosen = parser.parse_args()
    end_with_parent()
    asyncio.run(_serve(chosen.cloud.resolve(), chosen.port))


if __name__ == "__main__":
    main()
