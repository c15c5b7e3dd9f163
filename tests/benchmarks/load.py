"""Load on POST /api/jobs: wrk where it is installed, else an asyncio client of our own (dearer; notes name it)."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.machine import wrk
from tests.benchmarks.turns import Sample, percentile
from tests.benchmarks.wire import HttpConnection, http_request

SCRIPT = Path(__file__).parent / "submit.lua"


def generator() -> str:
    """The name of the load generator in use."""
    return "wrk" if wrk() else "asyncio client"


async def submit_load(port: int, tokens: Sequence[str], body: bytes, clients: int, seconds: float) -> Sample:
    """Submit from `clients` connections for `seconds`: count, seconds, p50 and p99 in ms, bad answers."""
    program = wrk()
    if program is None:
        return await _own_load(port, tokens, body, clients, seconds)
    with tempfile.NamedTemporaryFile(prefix="bench-body-") as file:
        file.write(body)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *[program, "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(SCRIPT)],
            *[f"http://127.0.0.1:{port}", "--", file.name, *tokens],
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    found: Sample = json.loads(output.decode().strip().splitlines()[-1])
    return found


async def _own_load(port: int, tokens: Sequence[str], body: bytes, clients: int, seconds: float) -> Sample:
    requests = [http_request("POST", "/api/jobs", token, body) for token in tokens]
    waits: list[float] = []
    bad = 0
    begun = time.monotonic()

    async def client(number: int) -> None:
        nonlocal bad
        connection = await HttpConnection.connect(port)
        turn = number
        while (before := time.monotonic()) - begun < seconds:
            status, _ = await connection.ask(requests[turn % len(requests)])
            waits.append((time.monotonic() - before) * 1e3)
            bad += status >= 400
            turn += 1
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return {
        "count": len(waits),
        "seconds": time.monotonic() - begun,
        "p50": percentile(waits, 0.5),
        "p99": percentile(waits, 0.99),
        "bad": bad,
    }
