"""The worker's settings, its health port and the processes it starts."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.worker.comfyui.process import EngineProcess
from services.worker.health import HealthServer, Metrics
from services.worker.settings import Backend, WorkerSettings
from tests.support.queue_process import ROOT
from tests.support.wait import wait_for, wait_until


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WORKER_")]:
        monkeypatch.delenv(name)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("cme_abc\n")
    monkeypatch.setenv("WORKER_NAME", "gpu-1")
    monkeypatch.setenv("WORKER_TOKEN_FILE", str(token))
    monkeypatch.setenv("WORKER_COMFYUI_ARGS", "--cpu --verbose DEBUG")
    settings = WorkerSettings()
    assert settings.backend is Backend.REHEARSAL
    assert settings.comfyui_args == ["--cpu", "--verbose", "DEBUG"]
    assert settings.read_token() == "cme_abc"
    token.write_text("cme_new")
    assert settings.read_token() == "cme_new"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"token": None}, "WORKER_TOKEN"),
        ({"backend": "url"}, "WORKER_COMFYUI_URL"),
        ({"backend": "local"}, "WORKER_COMFYUI_DIR"),
        ({"backend": "local", "comfyui_dir": "/nowhere"}, "WORKER_COMFYUI_DIR"),
        ({"token_file": "/nowhere"}, "WORKER_TOKEN_FILE"),
        ({"name": "GPU 1"}, "name"),
        ({"backend": "cloud"}, "rehearsal"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(values: dict[str, Any], sentence: str) -> None:
    defaults: dict[str, Any] = {
        key: value for key, value in {"name": "gpu-1", "token": "t"}.items() if key not in values
    }
    with pytest.raises(ValidationError, match=sentence):
        WorkerSettings(**defaults, **values)


def test_the_token_does_not_show() -> None:
    assert "cme_abc" not in repr(WorkerSettings(name="gpu-1", token="cme_abc"))


def test_a_worker_without_settings_says_what_is_missing_and_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.worker"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 2
    assert "WORKER_NAME" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_health_port_tells_alive_ready_and_counts() -> None:
    state = {"ready": False, "state": "starting"}
    metrics = Metrics()
    metrics.jobs.labels("succeeded").inc()
    server = HealthServer("127.0.0.1", 0, metrics, lambda: state)

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    assert get("/healthz")[0] == 200
    assert get("/readyz")[0] == 503
    state["ready"] = True
    status, body = get("/readyz")
    assert (status, json.loads(body)["state"]) == (200, "starting")
    assert 'comfyume_worker_jobs_total{how="succeeded"} 1.0' in get("/metrics")[1]
    assert get("/nothing")[0] == 404
    server.close()


async def test_an_engine_process_ends_with_its_helpers_and_keeps_its_last_words(tmp_path: Path) -> None:
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '300']); print(p.pid, flush=True); p.wait()"
    process = await EngineProcess.start([sys.executable, "-c", script], output=tmp_path / "log")
    helper = int(await wait_until(lambda: process.last_words, "the helper to start"))
    await process.stop()
    assert not process.running
    await wait_until(lambda: not is_alive(helper), "the helper to end")


async def test_an_engine_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.worker.comfyui.process._STOP_SECONDS", 0.2)
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(300)"
    )
    process = await EngineProcess.start([sys.executable, "-c", script], output=tmp_path / "log")
    await wait_until(lambda: process.last_words, "the program to start")
    await process.stop()
    assert process.exited.result() == -signal.SIGKILL


async def test_an_engine_does_not_see_the_workers_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TOKEN", "cme_secret")
    process = await EngineProcess.start(
        [sys.executable, "-c", "import os; print(os.environ)"], output=tmp_path / "log", env={"MARK": "seen"}
    )
    await asyncio.wait_for(process.exited, 90)
    assert "seen" in process.last_words
    assert "cme_secret" not in process.last_words


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_an_engine_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    worker = f"""
import asyncio, sys
from pathlib import Path
from services.worker.comfyui.process import EngineProcess
async def main():
    program = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(300)"]
    engine = await EngineProcess.start(program, output=Path({str(tmp_path / "log")!r}))
    while engine.last_words != "on":
        await asyncio.sleep(0.02)
    print(engine._process.pid, flush=True)
    await engine.exited
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", worker], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    engine = int(next(line for line in parent.stdout if line.strip().isdigit()))
    parent.kill()
    parent.wait(60)
    parent.stdout.close()
    wait_for(lambda: not is_alive(engine), "the engine to end with its worker")


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
