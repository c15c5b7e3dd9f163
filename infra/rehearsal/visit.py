"""A participant's visit to a rehearsed workshop: through the stack's own nginx, with her own password, one real job."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.components.person import PEOPLE
from infra.rehearsal import machines
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.providers.docker_host import published_port
from infra.settings import NAMESPACE

PNG = b"\x89PNG\r\n\x1a\n"
JOB_SECONDS = 120.0

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 0x224466}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "rehearsal"}},
}
"""Two nodes that are worked for real in a rehearsal too: a plain picture, saved."""


class VisitFailed(Exception):
    """What a participant would have noticed, in one sentence."""


@dataclass(frozen=True)
class Delivered:
    """One finished job: how long it took from Run to picture, and the picture."""

    seconds: float
    picture: bytes


def front_door_address(rehearsal: Rehearsal) -> str:
    """Where this machine reaches the rehearsed stack's nginx."""
    port = published_port(rehearsal.cloud.folder, f"{NAMESPACE}-{rehearsal.stack}-nginx", 443)
    return f"https://127.0.0.1:{port}"


def password_of(rehearsal: Rehearsal, person: str) -> str:
    """What the operator reads on the app host with `make passwords`."""
    machine = machines.find_by_name(rehearsal.cloud.folder, f"{NAMESPACE}-{rehearsal.stack}-app")
    if machine is None:
        raise VisitFailed("The rehearsed app host is gone; run the rehearsal again.")
    return (Path(machine.root) / PEOPLE.lstrip("/") / person / "password").read_text().strip()


@contextmanager
def visiting(rehearsal: Rehearsal, person: str) -> Iterator[httpx.Client]:
    """A client signed in as `person`; nginx's certificate is checked against the one that the stack was given."""
    domain = rehearsal.settings.get("comfyume:domain")
    trust = ssl.create_default_context(cadata=rehearsal.settings.get("comfyume:certificate"))
    trust.check_hostname = False  # the address is this machine's; the certificate names the rehearsed domain
    with httpx.Client(
        base_url=front_door_address(rehearsal),
        verify=trust,
        auth=(person, password_of(rehearsal, person)),
        headers={"Host": domain},
        timeout=30,
    ) as client:
        yield client


def run_one_job(rehearsal: Rehearsal, person: str) -> Delivered:
    """Submit through the web UI, wait for the history, fetch the picture.

    Raises:
        VisitFailed: the page, the job or the picture is not what a participant expects.
    """
    with visiting(rehearsal, person) as client:
        page = client.get(f"/{person}/")
        if page.status_code != 200 or "comfy" not in page.text.lower():
            raise VisitFailed(f"{person}'s page answers {page.status_code} instead of the web UI.")
        begun = time.monotonic()
        answer = client.post(f"/{person}/api/prompt", json={"prompt": WORKFLOW})
        if answer.status_code != 200:
            raise VisitFailed(f"{person}'s job was refused with {answer.status_code}: {answer.text[:300]}")
        entry = _finished(client, person, answer.json()["prompt_id"])
        picture = client.get(f"/{person}/api/view", params=entry).content
        if not picture.startswith(PNG):
            raise VisitFailed(f"{person}'s job ended, but its picture did not arrive.")
        return Delivered(time.monotonic() - begun, picture)


def _finished(client: httpx.Client, person: str, prompt_id: str) -> dict[str, str]:
    """Where the job's picture is, as the history names it."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        history = client.get(f"/{person}/api/history/{prompt_id}").json()
        if entry := history.get(prompt_id):
            if entry["status"]["status_str"] != "success":
                raise VisitFailed(f"{person}'s job failed: {json.dumps(entry['status'])[:500]}")
            image: dict[str, str] = entry["outputs"]["2"]["images"][0]
            return image
        time.sleep(0.25)
    raise VisitFailed(f"{person}'s job did not end within {JOB_SECONDS:.0f} s; is the worker up?")
