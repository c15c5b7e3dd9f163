"""The GPU memory guard: the rule, and what it makes of an engine's answers."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.gpu_memory import GIBIBYTE, Verdict, judge, needed
from services.worker.comfyui.backend import Engine, make_engine
from services.worker.comfyui.outcome import Failed
from services.worker.gpu import probe_gpu
from services.worker.memory_guard import MemoryGuard, memory_in
from services.worker.profile import read_profile
from services.worker.settings import WorkerSettings
from tests.support.comfyui_stub import ComfyUIStub

amounts = st.integers(min_value=0, max_value=200 * GIBIBYTE)


def test_a_job_needs_its_largest_known_model() -> None:
    assert needed([None, 4 * GIBIBYTE, 9 * GIBIBYTE]) == 9 * GIBIBYTE
    assert needed([None]) is None
    assert needed([]) is None


@given(need=amounts, free=amounts, more=amounts, reserve=amounts)
def test_the_rule_admits_exactly_what_leaves_the_reserve_free(need: int, free: int, more: int, reserve: int) -> None:
    total = free + more
    verdict = judge(need, free, total, reserve)
    assert (verdict is Verdict.FITS) == (need + reserve <= free)
    assert (verdict is Verdict.TOO_LARGE) == (need + reserve > total)


@given(free=amounts)
def test_an_unknown_need_is_never_refused(free: int) -> None:
    assert judge(None, free, free) is Verdict.FITS


def test_the_reserve_is_two_gibibytes_unless_it_is_set() -> None:
    assert judge(10 * GIBIBYTE, 12 * GIBIBYTE, 24 * GIBIBYTE) is Verdict.FITS
    assert judge(10 * GIBIBYTE, 12 * GIBIBYTE - 1, 24 * GIBIBYTE) is Verdict.UNLOAD_FIRST


def test_a_cpu_is_no_gpu() -> None:
    assert memory_in({"devices": [{"type": "cpu", "vram_total": 5, "vram_free": 5}]}) is None
    assert memory_in({}) is None


async def test_torch_is_asked_where_it_is_and_its_absence_is_said() -> None:
    reading = await probe_gpu(sys.executable)
    if reading.available:
        assert 0 < reading.free <= reading.total
    else:
        assert "torch" in reading.reason


async def test_asking_with_an_interpreter_that_is_not_there_says_so(tmp_path: Path) -> None:
    reading = await probe_gpu(str(tmp_path / "python"))
    assert not reading.available
    assert "does not start" in reading.reason


def gpu(free: int, total: int) -> list[dict[str, object]]:
    return [{"name": "H200", "type": "cuda", "vram_free": free * GIBIBYTE, "vram_total": total * GIBIBYTE}]


async def guard_for(stub: ComfyUIStub, data_dir: Path) -> tuple[Engine, MemoryGuard]:
    settings = WorkerSettings(name="gpu-1", token="t", backend="url", comfyui_url=stub.url, data_dir=data_dir)
    engine = make_engine(settings)
    await engine.ensure_ready()
    guard = MemoryGuard(engine)
    guard.sizes = (await read_profile(engine)).model_sizes
    return engine, guard


@pytest.mark.parametrize(
    ("free", "total", "freed", "refused"),
    [(23, 24, 23, None), (5, 24, 23, None), (5, 24, 5, "gpu_busy"), (5, 20, 20, "too_large")],
)
async def test_a_job_is_admitted_after_unloading_or_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, total: int, freed: int, refused: str | None
) -> None:
    monkeypatch.setattr("services.worker.memory_guard._UNLOAD_SECONDS", 0.3)
    async with ComfyUIStub() as stub:
        stub.devices = gpu(free, total)
        stub.on_free = lambda: setattr(stub, "devices", gpu(freed, total))
        engine, guard = await guard_for(stub, tmp_path)
        outcome = await guard.refuse({"big.safetensors"})  # 20 GiB, as the stub's model list says
        await engine.stop()
    if refused is None:
        assert outcome is None
    else:
        assert isinstance(outcome, Failed)
        assert outcome.error.type == refused
        assert outcome.retryable is (refused == "gpu_busy")
        assert "20.0 GiB" in outcome.error.message
    assert bool(stub.called("free")) is (free == 5 and total == 24)


async def test_a_job_without_known_models_passes(tmp_path: Path) -> None:
    async with ComfyUIStub() as stub:
        stub.devices = gpu(1, 24)
        engine, guard = await guard_for(stub, tmp_path)
        assert await guard.refuse({"unheard.safetensors"}) is None
        assert await guard.refuse(set()) is None
        await engine.stop()
