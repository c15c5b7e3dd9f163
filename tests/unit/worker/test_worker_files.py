"""Files on their way in: resumed, checked, cached within a bound, placed."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from services.domain.job import InputFile, Lease
from services.kit.file_download import PARTIAL_SUFFIX, DownloadDamaged, download_file
from services.worker.artifacts.graph import placed_name
from services.worker.artifacts.inputs import InputCache, InputUnusable, place_input
from services.worker.comfyui.backend import make_engine
from services.worker.queue_client import QueueClient
from services.worker.settings import WorkerSettings
from tests.support.comfyui_stub import ComfyUIStub
from tests.support.queue_stub import QueueStub

CONTENT = os.urandom(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
LEASE = Lease(job_id="j", token="t", participant="alice", attempt=1, number=1, expires_at=0, lease_seconds=30)


class FileServer:
    """Serves CONTENT, with ranges or without, whole or damaged."""

    def __init__(self) -> None:
        self.url = ""
        self.ranges: list[str | None] = []
        self.honours_ranges = True
        self.content = CONTENT

    async def answer(self, request: web.Request) -> web.Response:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        if asked and self.honours_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            return web.Response(status=206, body=self.content[start:])
        return web.Response(body=self.content)


@asynccontextmanager
async def file_server() -> AsyncIterator[FileServer]:
    server = FileServer()
    app = web.Application()
    app.router.add_get("/file", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/file"
    yield server
    await runner.cleanup()


async def fetch(server: FileServer, target: Path, size: int | None = len(CONTENT)) -> None:
    async with httpx.AsyncClient() as client:
        await download_file(client, server.url, target, sha256=SHA, size=size)


@pytest.mark.parametrize("size", [len(CONTENT), None])
async def test_a_download_becomes_visible_when_it_is_whole(tmp_path: Path, size: int | None) -> None:
    async with file_server() as server:
        await fetch(server, tmp_path / "a" / "file", size)
    assert (tmp_path / "a" / "file").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["file"]


@pytest.mark.parametrize("honours_ranges", [True, False])
async def test_a_broken_download_is_resumed(tmp_path: Path, honours_ranges: bool) -> None:
    (tmp_path / f"file{PARTIAL_SUFFIX}").write_bytes(CONTENT[:100_000])
    async with file_server() as server:
        server.honours_ranges = honours_ranges
        await fetch(server, tmp_path / "file")
        assert server.ranges == ["bytes=100000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


async def test_a_finished_download_that_was_not_yet_renamed_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / f"file{PARTIAL_SUFFIX}").write_bytes(CONTENT)
    async with file_server() as server:
        await fetch(server, tmp_path / "file")
        assert server.ranges == []
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"?", CONTENT + b"?"])
async def test_a_damaged_download_leaves_nothing_behind(tmp_path: Path, damaged: bytes) -> None:
    async with file_server() as server:
        server.content = damaged
        with pytest.raises(DownloadDamaged):
            await fetch(server, tmp_path / "file")
    assert not any((tmp_path / name).exists() for name in ("file", f"file{PARTIAL_SUFFIX}"))


def test_the_cache_drops_the_longest_unused_files_first_and_keeps_those_in_use(tmp_path: Path) -> None:
    cache = InputCache(tmp_path, max_bytes=250)
    for age, name in enumerate(["newest", "middle", "oldest", "in-use"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    cache.trim(in_use=["in-use"])
    assert {p.name for p in tmp_path.iterdir()} == {"newest", "in-use"}


def test_a_new_cache_throws_broken_downloads_away(tmp_path: Path) -> None:
    (tmp_path / f"abc{PARTIAL_SUFFIX}").write_bytes(b"x")
    InputCache(tmp_path, max_bytes=1)
    assert list(tmp_path.iterdir()) == []


async def test_an_input_is_fetched_once_and_then_taken_from_the_cache(tmp_path: Path) -> None:
    file = InputFile(name="a.png", sha256=SHA, size=len(CONTENT))

    async def answer(_request: web.Request, _body: object) -> web.Response | None:
        return web.Response(body=CONTENT)

    async with QueueStub() as stub:
        stub.answer = answer
        queue = QueueClient(stub.url, "gpu-1", lambda: "token")
        cache = InputCache(tmp_path, max_bytes=1 << 20)
        for _ in range(3):
            path = await cache.fetch(queue, LEASE, file)
        await queue.close()
        assert path.read_bytes() == CONTENT
        assert [path for path, _ in stub.calls] == [f"/api/leases/j/inputs/{SHA}"]


@pytest.mark.parametrize(
    ("status", "sentence"), [(404, "could not be fetched: It was deleted."), (200, "arrived damaged three times")]
)
async def test_an_input_that_cannot_be_had_is_named(tmp_path: Path, status: int, sentence: str) -> None:
    file = InputFile(name="a.png", sha256=SHA, size=len(CONTENT))

    async def answer(_request: web.Request, _body: object) -> web.Response | None:
        return web.json_response({"error": "not_found", "detail": "It was deleted."}, status=status)

    async with QueueStub() as stub:
        stub.answer = answer
        queue = QueueClient(stub.url, "gpu-1", lambda: "token")
        with pytest.raises(InputUnusable, match=f"'a.png' {sentence}"):
            await InputCache(tmp_path, max_bytes=1).fetch(queue, LEASE, file)
        await queue.close()


def stored(folder: Path) -> Path:
    content = folder / "content"
    content.write_bytes(CONTENT)
    return content


async def test_a_remote_comfyui_gets_an_input_by_upload_and_only_once(tmp_path: Path) -> None:
    file = InputFile(name="sub/a.png", sha256=SHA, size=len(CONTENT))
    content = stored(tmp_path)
    async with ComfyUIStub() as stub:
        engine = make_engine(
            WorkerSettings(name="gpu-1", token="t", backend="url", comfyui_url=stub.url, data_dir=tmp_path)
        )
        await engine.ensure_ready()
        for _ in range(2):
            await place_input(engine, file, content)
        await engine.stop()
        assert stub.called("upload") == [SHA]
        folder, _, name = placed_name(file).rpartition("/")
        assert stub.files["input", folder, name] == CONTENT


async def test_an_own_engine_finds_an_input_in_its_folder(tmp_path: Path) -> None:
    file = InputFile(name="a.png", sha256=SHA, size=len(CONTENT))
    content = stored(tmp_path)
    engine = make_engine(WorkerSettings(name="gpu-1", token="t", backend="rehearsal", data_dir=tmp_path))
    assert engine.input_folder is not None
    for _ in range(2):
        await place_input(engine, file, content)
    assert (engine.input_folder / placed_name(file)).read_bytes() == CONTENT
