"""Runs one of the small servers: `python -m tests.benchmarks.limits <name> --port N --redis-port N`."""

import argparse

import uvicorn
import uvloop

from tests.benchmarks.limits.bare_asgi import BareApp
from tests.benchmarks.limits.broadcast import serve_raw, serve_with_library
from tests.benchmarks.limits.fastapi_raw import create_app

SERVERS = ["bare_asgi", "fastapi_raw", "broadcast", "raw_frames"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    arguments = parser.parse_args()
    port, redis_port = arguments.port, arguments.redis_port
    if arguments.name == "broadcast":
        uvloop.run(serve_with_library(port, redis_port))
    elif arguments.name == "raw_frames":
        uvloop.run(serve_raw(port, redis_port))
    else:
        app = BareApp(redis_port) if arguments.name == "bare_asgi" else create_app(redis_port)
        uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
