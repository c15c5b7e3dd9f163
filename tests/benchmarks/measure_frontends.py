"""Rows frontends_*: twenty web UIs from zero, as processes, beside a stock ComfyUI where COMFYUI_DIR names one."""

import asyncio
import os

from tests.benchmarks.bench import Bench
from tests.benchmarks.frontends import IDLE_SECONDS, fleet, proportional_megabytes
from tests.benchmarks.rows import Row
from tests.benchmarks.stock import MISSING, StockComfyUi, stock_comfyui
from tests.benchmarks.turns import Contestant, Sample, take_turns

PEOPLE = 20


async def measure(bench: Bench) -> list[Row]:
    """Start them all, weigh them, end them; the stock process once a round, times twenty."""
    contestants: dict[str, Contestant] = {"ours": _ours}
    if StockComfyUi.is_there():
        contestants["stock ComfyUI"] = _stock
    with fleet(1) as warm_up:
        await warm_up.start()
    medians = await take_turns(contestants, bench.rounds, lambda who: bench.report(f"frontends: {who}"))
    return [
        _row("frontends_ready_s_20", "s", "all", medians),
        _row("first_frontend_ready_s", "s", "first", medians),
        _row("frontends_pss_mb_20", "MB", "megabytes", medians),
    ]


def _row(name: str, unit: str, figure: str, medians: dict[str, Sample]) -> Row:
    note = "stock: one process, its start times 20 / cores, its memory times 20" if len(medians) > 1 else MISSING
    return Row(
        name=name,
        unit=unit,
        better="lower",
        ours=medians["ours"][figure],
        peers={who: found[figure] for who, found in medians.items() if who != "ours"},
        note=f"{note}; load {medians['ours']['load']:.1f}",
    )


async def _ours() -> Sample:
    with fleet(PEOPLE) as one:
        ready = await one.start()
        await asyncio.sleep(IDLE_SECONDS)
        return {"all": ready[-1], "first": ready[0], "megabytes": one.megabytes()}


async def _stock() -> Sample:
    async with stock_comfyui() as stock:
        await asyncio.sleep(IDLE_SECONDS)
        return {
            "all": stock.ready_seconds * PEOPLE / (os.cpu_count() or 1),
            "first": stock.ready_seconds,
            "megabytes": proportional_megabytes([stock.pid]) * PEOPLE,
        }
