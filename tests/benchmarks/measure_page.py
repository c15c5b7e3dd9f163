"""Rows page_*: the stock page through our front door, beside a stock ComfyUI's own server where COMFYUI_DIR names one.

Both send the same version of the page and, so that both send the same list of nodes, the stock server's own list is
published to our queue manager.
"""

import asyncio
import base64
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.benchmarks.bench import Bench
from tests.benchmarks.browser import LATENCY_MS, MEGABITS, Cookie, chromium, load_twice
from tests.benchmarks.machine import every_core
from tests.benchmarks.rows import Row
from tests.benchmarks.stock import MISSING, StockComfyUi, stock_comfyui
from tests.benchmarks.turns import Contestant, Sample, take_turns
from tests.support.workshop_room import Workshop, password_of, workshop_room

NAME = "alice"
OURS, STOCK = "ours", "stock ComfyUI"


async def measure(bench: Bench) -> list[Row]:
    """Cold and warm loads in turn; each with a profile of its own."""
    with every_core():
        async with _contestants() as contestants:
            medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"page: {who}"))
    return [
        _row("page_cold_s", "cold", "ready", medians),
        _row("page_warm_s", "warm", "ready", medians),
        _row("first_paint_cold_s", "cold", "paint", medians),
        _row("first_paint_warm_s", "warm", "paint", medians),
    ]


def _row(name: str, cache: str, figure: str, medians: dict[str, Sample]) -> Row:
    told = [
        f"{who}: {found[f'{cache}_megabytes']:.1f} MB, {found[f'{cache}_requests']:.0f} requests"
        for who, found in medians.items()
    ]
    missing = [] if STOCK in medians else [MISSING]
    note = "; ".join([*told, *missing, f"{MEGABITS} Mbit/s, {LATENCY_MS} ms, load {medians[OURS]['load']:.1f}"])
    return Row(
        name=name,
        unit="s",
        better="lower",
        ours=medians[OURS][f"{cache}_{figure}"],
        peers={who: found[f"{cache}_{figure}"] for who, found in medians.items() if who != OURS},
        note=note,
    )


@asynccontextmanager
async def _contestants() -> AsyncIterator[dict[str, Contestant]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-page-")))
        room = stack.enter_context(workshop_room(folder, (NAME,)))
        # A browser keeps nothing that came with a certificate it does not trust.
        browser = await stack.enter_async_context(chromium([f"--ignore-certificate-errors-spki-list={_key(room)}"]))
        cookie = _sign_in(room)
        contestants: dict[str, Contestant] = {OURS: lambda: load_twice(browser, room.address(NAME), cookie)}
        if StockComfyUi.is_there():
            page = Path(str(files("comfyui_frontend_package"))) / "static"
            stock = await stack.enter_async_context(stock_comfyui("--front-end-root", str(page)))
            address = f"http://127.0.0.1:{stock.port}/"
            await asyncio.to_thread(_publish, room, f"{address}object_info")
            contestants[STOCK] = lambda: load_twice(browser, address)
        yield contestants


def _sign_in(room: Workshop) -> Cookie:
    with httpx.Client(verify=room.door.trust, auth=(NAME, password_of(NAME)), timeout=60) as client:
        name, _, value = client.get(room.address(NAME)).headers["set-cookie"].split(";")[0].partition("=")
    return Cookie(name, value)


def _key(room: Workshop) -> str:
    """The digest of the door's public key, as Chromium wants it."""
    certificate = x509.load_pem_x509_certificate(Path(str(room.configuration.certificate)).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def _publish(room: Workshop, list_of_nodes: str) -> None:
    """Let a second worker, which never asks for work, publish what stands at an address."""
    catalogue = httpx.get(list_of_nodes, timeout=300).content
    with room.queue.client("otto") as operator:
        token = operator.put("/api/credentials/worker/stock").json()["token"]
    profile = {
        "comfyui_version": "0.33.0", "rehearsal": False, "gpu": None, "models": {},
        "catalogue_sha256": hashlib.sha256(catalogue).hexdigest(),
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=room.queue.url, headers=headers, timeout=60) as worker:
        worker.put("/api/workers/stock", json=profile).raise_for_status()
        worker.put("/api/workers/stock/catalogue", content=catalogue).raise_for_status()
