"""Participants who do not give up: they hand a job in until it is taken, and ask until it has ended."""

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.workshop import Workshop

FINAL = {"succeeded", "failed", "cancelled", "dead"}
RETRY_SECONDS = 0.3


@dataclass
class Handed:
    """One job of one participant, from the participant's side."""

    number: int
    owner: str
    workflow: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    forgotten: int = 0
    """How often the room did not know the job any more although it had been taken in."""
    record: dict[str, Any] = field(default_factory=dict)
    """The job as it was read last."""


class NotAnswered(Exception):
    """Nobody answered, or something on the way was down."""


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """One request; raises NotAnswered where repeating it makes sense."""
    try:
        answer = await client.request(method, path, **options)
    except httpx.TransportError as error:
        raise NotAnswered(repr(error)) from error
    if answer.status_code in (500, 502, 503, 504):
        raise NotAnswered(answer.text)
    return answer


async def ask_until_answered(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """The same until somebody answers; the caller bounds the time."""
    while True:
        try:
            return await ask(client, method, path, **options)
        except NotAnswered:
            await asyncio.sleep(RETRY_SECONDS)


async def hand_in(client: httpx.AsyncClient, job: Handed) -> None:
    """Submit under the participant's own id, so that a repeat after a lost answer is the same job."""
    body = {"id": job.id, "workflow": job.workflow, "label": f"job {job.number}"}
    while True:
        answer = await ask_until_answered(client, "POST", "/api/jobs", json=body)
        if answer.status_code in (200, 202):
            return
        if answer.status_code not in (400, 429):
            raise AssertionError(f"the submit of job {job.number} was refused: {answer.status_code} {answer.text}")
        if answer.status_code == 400:
            raise AssertionError(f"the workflow of job {job.number} was refused: {answer.text}")
        await asyncio.sleep(RETRY_SECONDS)


async def follow(client: httpx.AsyncClient, job: Handed) -> None:
    """Ask until the job has ended; a job that is not known any more is counted and handed in again."""
    while True:
        answer = await ask_until_answered(client, "GET", f"/api/jobs/{job.id}")
        if answer.status_code == 404:
            job.forgotten += 1
            await hand_in(client, job)
        else:
            job.record = answer.json()
            if job.record["state"] in FINAL:
                return
        await asyncio.sleep(RETRY_SECONDS)


async def live(workshop: Workshop, jobs: list[Handed], seconds: float, dice: random.Random) -> None:
    """One participant: hands his jobs in one after the other over `seconds`, then waits for their ends."""
    async with workshop.client(jobs[0].owner) as client:
        for job in jobs:
            await asyncio.sleep(dice.uniform(0, 2 * seconds / (len(jobs) + 1)))
            await hand_in(client, job)
        for job in jobs:
            await follow(client, job)
