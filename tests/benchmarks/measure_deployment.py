"""Rows of a deployment by the real engine: a quiet preview of prod, the program alone, containers up, one more person.

Without machines, so that the engine and the program are measured and not this machine's disk; `containers_up` is the
exception: it deploys staging into real containers from images that are built already, and runs when it is named.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.rehearsal import docker_engine, engine, machines
from infra.rehearsal.engine import EngineMissing
from infra.rehearsal.machine_image import ensure_images
from infra.rehearsal.workshop import rehearsed_workshop
from tests.benchmarks.bench import Bench
from tests.benchmarks.rows import Row
from tests.benchmarks.turns import Sample, take_turns

REPOSITORY = Path(__file__).parents[2]
NO_ENGINE = "no Pulumi CLI here; `make engine` builds one"


async def measure(bench: Bench) -> list[Row]:
    """preview_nochange_prod_s, program_prod_s, person_add_s: prod with twenty participants."""
    try:
        engine.ensure()
    except EngineMissing:
        return [_row(name, None, NO_ENGINE) for name in ("preview_nochange_prod_s", "program_prod_s", "person_add_s")]
    medians = await take_turns(
        {"program": _program, "engine": _engine}, bench.rounds, lambda what: bench.report(f"deployment: {what}")
    )
    return [
        _row("preview_nochange_prod_s", medians["engine"]["preview"], "goal 10; nothing changed, 20 participants"),
        _row("program_prod_s", medians["program"]["seconds"], "goal 3; a process of its own, no engine"),
        _row("person_add_s", medians["engine"]["person"], "goal 15; engine and stand-ins, no container started"),
    ]


async def measure_containers_up(bench: Bench) -> list[Row]:
    """up_containers_s: from a prepared machine and built images to every container of staging healthy."""
    bench.report("deployment: containers")
    seconds = await asyncio.to_thread(_containers_up)
    return [_row("up_containers_s", seconds, "goal 60; staging, 8 containers, images built before, bootstrap included")]


def _row(name: str, seconds: float | None, note: str) -> Row:
    return Row(name=name, unit="s", better="lower", ours=seconds, note=note)


async def _program() -> Sample:
    begun = time.perf_counter()
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.support.resource_graph", "prod"],
        cwd=REPOSITORY, check=True, capture_output=True,
    )  # fmt: skip
    return {"seconds": time.perf_counter() - begun}


async def _engine() -> Sample:
    return await asyncio.to_thread(_engine_round)


def _engine_round() -> Sample:
    with tempfile.TemporaryDirectory() as folder, rehearsed_workshop(Path(folder), "prod") as prod:
        prod.up()
        preview = prod.preview(expect_no_changes=True)
        person = prod.with_setting("comfyume:participants.newcomer", {}).up()
        return {"preview": preview.seconds, "person": person.seconds}


def _containers_up() -> float:
    """The images are built by a first `up`; everything is taken down and put up again, and that is timed."""
    with tempfile.TemporaryDirectory() as folder, docker_engine.running_engine(Path(folder)):
        ensure_images()
        for attempt in ("images", "timed"):
            with rehearsed_workshop(Path(folder) / attempt, machines=True) as staging:
                try:
                    seconds = staging.up().seconds
                finally:
                    machines.remove_machines(staging.cloud.folder)
    return seconds
