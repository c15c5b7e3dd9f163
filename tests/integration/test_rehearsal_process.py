"""The rehearsal engine as a process: start, end, and the faults that take a process to show."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from services.worker.rehearsal import fault_names
from tests.support.rehearsal_engine import Client, kinds, picture_graph
from tests.support.wait import wait_for, wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., tuple[subprocess.Popen[bytes], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start engines that end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(**settings: str) -> tuple[subprocess.Popen[bytes], str]:
        log = tmp_path / f"log{len(started)}"
        own = {
            "REHEARSAL_PORT": "0",
            "REHEARSAL_DATA_DIR": str(tmp_path / "data"),
            "REHEARSAL_FAULT_NODES": "true",
            "REHEARSAL_STEP_SECONDS": "0",
            "REHEARSAL_LOAD_SECONDS": "0",
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.worker.rehearsal"], env={**os.environ, **own, **settings}, stderr=out
            )
        started.append(process)
        wait_for(lambda: b"ready" in log.read_bytes() or process.poll() is not None, "the engine to be ready")
        text = log.read_text()
        return process, text.split("on ")[-1].strip() if "ready" in text else text

    yield start_one
    for process in started:
        process.kill()
        process.wait()


def test_it_ends_with_status_0_on_sigterm_even_when_a_node_hangs(start: Start) -> None:
    process, _ = start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


async def test_a_hanging_node_ignores_the_interrupt_and_the_server_goes_on(start: Start) -> None:
    process, base = start()
    async with Client(base) as client:
        prompt_id = await client.submit({"1": {"class_type": fault_names.HANG, "inputs": {}}})
        await client.hear_until("executing", prompt_id)
        assert (await client.post("/interrupt", {"prompt_id": prompt_id}))[0] == 200
        assert (await client.get("/system_stats"))["system"]["rehearsal"]
        assert [entry[1] for entry in (await client.get("/queue"))["queue_running"]] == [prompt_id]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.parametrize(("name", "status"), [(fault_names.CRASH, 7), (fault_names.POISON, 139)])
async def test_a_crash_ends_the_process(start: Start, name: str, status: int) -> None:
    process, base = start()
    inputs = {"status": status} if name == fault_names.CRASH else {}
    async with Client(base) as client:
        with contextlib.suppress(aiohttp.ClientError):  # on a slow machine the answer may be lost in the crash
            await client.submit({"1": {"class_type": name, "inputs": inputs}})
        assert await wait_until(process.poll, "the process to end") == status
    _, base = start()
    async with Client(base) as client:
        assert "execution_success" in kinds(await client.run(picture_graph()))


def test_a_port_in_use_is_named_with_the_setting_that_changes_it(start: Start) -> None:
    _, base = start()
    process, said = start(REHEARSAL_PORT=base.rsplit(":", 1)[1])
    assert process.wait(60) == 1
    assert "REHEARSAL_PORT" in said


def test_a_wrong_setting_is_named(start: Start) -> None:
    process, said = start(REHEARSAL_STEP_SECONDS="soon")
    assert process.wait(60) == 2
    assert "REHEARSAL_STEP_SECONDS" in said
    assert "Traceback" not in said
