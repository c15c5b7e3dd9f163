"""What one participant can try against another: addresses, credentials, headers, ids and names, all combined."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.isolation.addresses import Address
from tests.isolation.people import Answer, Caller, Person
from tests.support.queue_process import token_of
from tests.support.workshop_room import DOOR_SECRET, Workshop

AT_ONCE = 6
REFUSALS = (400, 401, 403, 404)
"""What nginx answers to whoever may not enter a workspace."""


@dataclass(frozen=True)
class Try:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def forged_headers(attacker: Person, victim: Person) -> dict[str, str]:
    """Headers that claim to be the victim, or to come from the door."""
    return {
        "Comfy-User": victim.name, "X-Auth-Name": victim.name, "X-Auth-Role": "operator", "X-Door-Secret": "a guess",
        "X-Workspace": attacker.name, "X-Real-IP": "127.0.0.1", "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-User": victim.name, "X-Forwarded-Host": victim.name, "X-Forwarded-Prefix": f"/{victim.name}",
        "X-Original-URI": f"/{attacker.name}/", "X-Rewrite-URL": f"/{victim.name}/", "X-Accel-Redirect": "/_verify",
        "Forwarded": f"for=127.0.0.1;host={victim.name}", "X-HTTP-Method-Override": "DELETE",
    }  # fmt: skip


def names_of(victim: Person) -> list[str]:
    """Ids and file names that might lead to the victim's things, percent-encoded as one path segment."""
    there = f"../../{victim.name}/user/workflows/{victim.workflow_name}"
    absolute = str(victim.folder / "user" / "workflows" / victim.workflow_name)
    plain = [
        *victim.jobs, victim.client_id, victim.name, f"workflows/{victim.workflow_name}", victim.picture_name, there,
        f"../../{victim.name}.token", f"../{victim.name}/{victim.picture_name}", absolute, f"/{there}",
        f"{victim.picture_name} [input]", f"../{victim.name}/{victim.picture_name} [input]",
        f"../outputs/{victim.name} [output]", f"{there} [temp]", f"..\\..\\{victim.name}\\user",
        f"{victim.output.get('subfolder', 'job-1')}/x [output]", f"../../api/jobs/{victim.jobs[0]}",
    ]  # fmt: skip
    once = [quote(name, safe="") for name in plain]
    return [*once, quote(quote(there, safe=""), safe=""), there.replace("/", "%2F").replace("..", "%2e%2e")]


def query_with(name: str, victim: Person) -> str:
    """The name in every place of a query in which any route looks for one."""
    keys = ("filename", "dir", "path", "id", "prompt_id", "workflow_id")
    folder = quote(victim.output.get("subfolder", ""), safe="")
    rest = f"type=input&clientId={victim.client_id}&participant={victim.name}&user={victim.name}"
    return "&".join(f"{key}={name}" for key in keys) + f"&subfolder={folder}&full_info=true&recurse=true&{rest}"


def bodies_with(name: str, victim: Person) -> Iterator[Any]:
    """The name in every place of a JSON body and of a form."""
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": f"../{victim.name}/{victim.picture_name}"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    yield {
        "prompt": graph, "prompt_id": victim.jobs[-1], "job_ids": victim.jobs, "delete": victim.jobs,
        "client_id": victim.client_id, "filename": name, "extra_data": {"client_id": victim.client_id},
    }  # fmt: skip
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("image", b"not a picture", filename=f"../{victim.name}/{victim.picture_name}")
    form.add_field("subfolder", f"../{victim.name}")
    form.add_field("overwrite", "true")
    reference = {"filename": victim.picture_name, "subfolder": f"../{victim.name}", "type": "input"}
    form.add_field("original_ref", json.dumps(reference))
    yield form


def at_the_victims_address(addresses: list[Address], attacker: Person, victim: Person, turn: int) -> Iterator[Try]:
    """Every address of the victim's web UI: with the attacker's cookie, with nothing, with the attacker's password."""
    forged, names = forged_headers(attacker, victim), names_of(victim)
    credentials: tuple[dict[str, str], ...] = (
        {"Cookie": attacker.cookie}, {}, {"Authorization": attacker.basic},
        {"Cookie": f"comfyume_session=../{victim.name}; Path=/{victim.name}/; {attacker.cookie}"},
    )  # fmt: skip
    for number, address in enumerate(addresses):
        path = f"/{victim.name}{address.filled(names[(number + turn) % len(names)])}"
        for credential in credentials:
            yield Try(address.method, path, forged | credential)


def at_the_own_address(addresses: list[Address], attacker: Person, victim: Person, names: list[str]) -> Iterator[Try]:
    """Every address of the attacker's own web UI, asked for the victim's things."""
    headers = forged_headers(attacker, victim) | {"Cookie": attacker.cookie}
    for address in addresses:
        for name in names:
            path = f"/{attacker.name}{address.filled(name)}?{query_with(name, victim)}"
            if address.method in ("POST", "PUT", "PATCH"):
                for body in bodies_with(name, victim):
                    yield Try(address.method, path, headers, body)
            else:
                yield Try(address.method, path, headers)


def at_the_door(addresses: list[Address], attacker: Person, victim: Person) -> Iterator[Try]:
    """The door's own addresses, and the sign-in's at the root and below the victim's."""
    forged = forged_headers(attacker, victim) | {"Cookie": attacker.cookie}
    for address in addresses:
        for prefix in ("", f"/{victim.name}"):
            yield Try(address.method, prefix + address.filled(victim.name), forged)


async def send(caller: Caller, tries: Iterator[Try]) -> AsyncIterator[tuple[Try, Answer]]:
    """Send them, a few at a time."""
    waiting: set[asyncio.Task[tuple[Try, Answer]]] = set()

    async def one(attempt: Try) -> tuple[Try, Answer]:
        key = "data" if isinstance(attempt.body, aiohttp.FormData) else "json"
        more = {key: attempt.body} if attempt.body is not None else {}
        return attempt, await caller.ask(attempt.method, attempt.path, attempt.headers, **more)

    for attempt in tries:
        waiting.add(asyncio.create_task(one(attempt)))
        if len(waiting) >= AT_ONCE:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    for task in waiting:
        yield await task


def words_of(victim: Person, workshop: Workshop) -> list[str]:
    """What no answer to anybody else may hold."""
    return [victim.secret, token_of(victim.name), DOOR_SECRET, victim.cookie, f"{workshop.folder}/queue", "Traceback"]


def complaint(attempt: Try, answer: Answer, forbidden: list[str], statuses: tuple[int, ...] | None) -> str | None:
    """What is wrong with an answer; None if nothing is. Names that the request itself held may come back."""
    if answer.status >= 500 or (statuses is not None and answer.status not in statuses):
        return f"{attempt}: {answer.status} {answer.body[:200]!r}"
    sent = attempt.path + json.dumps(attempt.body if isinstance(attempt.body, dict) else "")
    found = [word for word in forbidden if word in answer.text and quote(word, safe="") not in sent]
    return f"{attempt}: {answer.status} shows {found}" if found else None
