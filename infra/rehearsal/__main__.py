"""`make rehearse STACK=staging`: a whole deployment on this machine, offline and without credentials.

What a cautious operator runs before her first real `up`: the same program, the same engine, real containers and real
SSH; only the clouds are stand-ins, and the pictures placeholders. It says what it does, step by step, and what it cost.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.rehearsal import docker_engine, machines
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.engine import EngineMissing
from infra.rehearsal.machine_container import sweep_left_over
from infra.rehearsal.machine_image import ensure_images
from infra.rehearsal.outcomes import DeploymentFailed, Outcome
from infra.rehearsal.visit import VisitFailed, front_door_address, password_of, run_one_job
from infra.rehearsal.workshop import rehearsed_workshop

GUEST = "rehearsal-guest"
GIB_FOR_A_WORKER = {"memory_mb": 1024, "cpus": 1}
console = Console(stderr=True)


class NotAsExpected(Exception):
    """A step of the rehearsal went through and did something else than it should."""


def main(
    stack: Annotated[str, typer.Argument(help="Whose stack file is rehearsed: staging or prod.")] = "staging",
    keep: Annotated[bool, typer.Option(help="Leave the workshop open until Enter is pressed.")] = False,
    participants: Annotated[int, typer.Option(min=1, max=99, help="How many of the stack's people come.")] = 3,
) -> None:
    """Preview, deploy, run one job, deploy again, change a setting, destroy: all of it on this machine."""
    folder = Path(tempfile.mkdtemp(prefix="comfyume-rehearsal-"))
    try:
        with docker_engine.running_engine(folder):
            console.print("Preparing the stand-ins' images: minutes the first time, nothing later.")
            ensure_images()
            sweep_left_over()
            with rehearsed_workshop(folder, stack, machines=True) as rehearsal:
                try:
                    _rehearse(rehearsal, keep=keep, participants=participants)
                finally:
                    machines.remove_machines(rehearsal.cloud.folder)
    except (DeploymentFailed, VisitFailed, NotAsExpected, docker_engine.DockerUnavailable, EngineMissing) as failure:
        console.print(f"[bold red]The rehearsal ended here.[/] {failure}", markup=True, highlight=False)
        console.print(f"What was there is kept for you in {folder}")
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


def _rehearse(rehearsal: Rehearsal, *, keep: bool, participants: int) -> None:
    people = sorted(rehearsal.settings.get("comfyume:participants"))[:participants]
    _fit_to_this_machine(rehearsal, people)
    _step("preview", "what an `up` would make", rehearsal.preview)
    _step("up", "machines, images, containers", rehearsal.up)
    delivered = run_one_job(rehearsal, people[0])
    console.print(f"  {people[0]} pressed Run at the stack's own front door: a picture after {delivered.seconds:.1f} s")
    _silent(rehearsal)
    if keep:
        _open_house(rehearsal, people)
    rehearsal.with_setting(f"comfyume:participants.{GUEST}", {})
    _step("one more participant", "only what is hers, and the front door", rehearsal.up)
    run_one_job(rehearsal, GUEST)
    console.print(f"  {GUEST} came, and got a picture of her own")
    rehearsal.with_setting("comfyume:protection.enabled", False)
    _step("lifting protection", "so that it can be taken down", rehearsal.up)
    _step("destroy", "backs up each GPU host first; buckets and volumes are kept", rehearsal.destroy)
    console.print("[green]The deployment was rehearsed from beginning to end.[/]")


def _fit_to_this_machine(rehearsal: Rehearsal, people: list[str]) -> None:
    """Fewer people and placeholder pictures; everything else is the stack file's own."""
    rehearsal.with_setting("comfyume:participants", {person: {} for person in people})
    rehearsal.with_setting("comfyume:gpu.backend", "rehearsal")
    rehearsal.with_setting("comfyume:gpu.count", 1)
    rehearsal.with_setting("comfyume:gpu.workers_per_host", 1)
    rehearsal.with_setting("comfyume:limits.worker", GIB_FOR_A_WORKER)
    rehearsal.with_setting("comfyume:monitoring", {})
    rehearsal.with_setting("comfyume:serverless", {})


def _step(name: str, meaning: str, act: Callable[[], Outcome]) -> Outcome:
    console.print(f"[bold]{name}[/]: {meaning} ...")
    outcome = act()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "resources"):
        table.add_column(heading)
    for operation in ("create", "update", "replace", "delete", "same"):
        if count := outcome.count(operation):
            table.add_row(f"  {operation}", str(count))
    console.print(table)
    console.print(f"  done after {outcome.seconds:.1f} s")
    return outcome


def _silent(rehearsal: Rehearsal) -> None:
    outcome = _step("up again", "nothing has changed, so nothing may happen", rehearsal.up)
    if outcome.changes:
        changed = ", ".join(f"{step.op} {step.name}" for step in outcome.changes[:5])
        raise NotAsExpected(f"The second `up` was not silent: {changed}.")


def _open_house(rehearsal: Rehearsal, people: list[str]) -> None:
    console.print(f"The workshop is open at {front_door_address(rehearsal)}/ (a certificate that nobody signed):")
    for person in [*people, *sorted(rehearsal.settings.get("comfyume:staff"))]:
        console.print(f"  {person:<16} {password_of(rehearsal, person)}")
    input("Enter ends it. ")


if __name__ == "__main__":
    typer.run(main)
