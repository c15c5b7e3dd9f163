"""A participant at the front door: signed in, with things that nobody else may see, change or hear of."""

import asyncio
import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from yarl import URL

from tests.support.wait import LIMIT_SECONDS, wait_until
from tests.support.web_ui import slow_graph
from tests.support.workshop_room import Workshop, password_of

Graph = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: str
    body: bytes

    @property
    def text(self) -> str:
        """Headers and body, to be searched."""
        return self.headers + self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


class Caller:
    """Sends requests through the front door exactly as written: nothing is decoded, followed or remembered."""

    def __init__(self, workshop: Workshop) -> None:
        self.url = workshop.door.url
        self._trust = workshop.door.trust

    async def __aenter__(self) -> "Caller":
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=LIMIT_SECONDS)
        self.session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, max_field_size=2**16
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
        """One request; `more` is aiohttp's."""
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **more) as answer:
            shown = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
            return Answer(answer.status, shown, await answer.read())


@dataclass
class Person:
    """Somebody's session and belongings; `secret` is in all of them and in no request of anybody else."""

    name: str
    cookie: str
    folder: Path
    secret: str = field(default_factory=lambda: f"secret{secrets.token_hex(12)}")
    client_id: str = field(default_factory=lambda: secrets.token_hex(16))
    jobs: list[str] = field(default_factory=list)
    output: dict[str, str] = field(default_factory=dict)

    @property
    def basic(self) -> str:
        """The password as a client without cookies sends it."""
        return "Basic " + base64.b64encode(f"{self.name}:{password_of(self.name)}".encode()).decode()

    @property
    def workflow_name(self) -> str:
        """The file name of the saved workflow: others may guess it."""
        return f"notes-{self.name}.json"

    @property
    def picture_name(self) -> str:
        """The name of the uploaded picture: others may guess it."""
        return f"portrait-{self.name}.png"

    async def own(self, caller: Caller, method: str, path: str, **more: Any) -> Answer:
        """A request at the own address with the own cookie."""
        return await caller.ask(method, f"/{self.name}{path}", {"Cookie": self.cookie}, **more)


async def sign_in(caller: Caller, workshop: Workshop, name: str) -> Person:
    """The session that a right password gives."""
    form = {"name": name, "password": password_of(name)}
    answer = await caller.ask("POST", "/sign-in", data=form)
    assert answer.status == 303, answer.text
    cookie = answer.headers.lower().partition("set-cookie: ")[2].partition(";")[0]
    start = answer.headers.lower().index(cookie)
    web_ui = workshop.web_uis[name]
    return Person(name, answer.headers[start : start + len(cookie)], web_ui.token_file.parent / name)


async def move_in(caller: Caller, person: Person) -> None:
    """Plant the secret in settings, a saved workflow, an uploaded picture, a finished job and its output."""
    note = {"nodes": [], "note": person.secret}
    for answer in (
        await person.own(caller, "POST", "/settings/Private.Note", json=person.secret),
        await person.own(caller, "POST", f"/userdata/workflows%2F{person.workflow_name}", json=note),
        await upload(caller, person, person.picture_name, noted_png(person.secret)),
    ):
        assert answer.status == 200, answer.text
    job = await submit(caller, person, load_and_save(person.picture_name, person.secret))

    async def ended() -> dict[str, Any]:
        history: dict[str, Any] = (await person.own(caller, "GET", f"/history/{job}")).json()
        return history

    entry = (await wait_until(ended, f"{person.name}'s job to end"))[job]
    person.output = entry["outputs"]["2"]["images"][0]


async def keep_a_job_going(caller: Caller, person: Person) -> None:
    """Queue a job that runs for as long as nobody stops it; it waits where the worker has another one."""
    graph = slow_graph(600)
    graph["2"]["inputs"]["filename_prefix"] = person.secret
    await submit(caller, person, graph)


async def submit(caller: Caller, person: Person, graph: Graph) -> str:
    """Press Run; gives the prompt id."""
    body = {"prompt": graph, "client_id": person.client_id}
    answer = await person.own(caller, "POST", "/prompt", json=body)
    assert answer.status == 200, answer.text
    prompt_id: str = answer.json()["prompt_id"]
    person.jobs.append(prompt_id)
    return prompt_id


async def upload(caller: Caller, person: Person, name: str, content: bytes) -> Answer:
    """Send a file to the own inputs."""
    form = aiohttp.FormData()
    form.add_field("image", content, filename=name)
    return await person.own(caller, "POST", "/upload/image", data=form)


def load_and_save(name: str, prefix: str) -> Graph:
    """A graph that reads one input picture and saves it."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def noted_png(note: str) -> bytes:
    """A small picture that carries a text."""
    notes, buffer = PngInfo(), BytesIO()
    notes.add_text("note", note)
    Image.new("RGB", (8, 8), (12, 34, 56)).save(buffer, "PNG", pnginfo=notes)
    return buffer.getvalue()


async def snapshot(caller: Caller, person: Person) -> dict[str, str]:
    """All that the person has, as digests: what the web UI shows and what lies on its disk."""
    picture = f"/view?filename={person.picture_name}&type=input"
    result = "/view?" + "&".join(f"{key}={value}" for key, value in person.output.items())
    shown = {
        path: await person.own(caller, "GET", path)
        for path in (
            "/settings", "/v2/userdata", "/queue", "/history", "/api/jobs", "/internal/files/input", picture, result,
            f"/userdata/workflows%2F{person.workflow_name}", *(f"/api/jobs/{job}" for job in person.jobs),
        )
    }  # fmt: skip
    for path, answer in shown.items():
        assert answer.status == 200, (path, answer.text)
    digests = {path: hashlib.sha256(answer.body).hexdigest() for path, answer in shown.items()}
    files = await asyncio.to_thread(lambda: [path for path in person.folder.rglob("*") if path.is_file()])
    return digests | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
