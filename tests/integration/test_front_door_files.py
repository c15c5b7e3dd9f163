"""Film-size files through the whole way: TLS at nginx, the web UI, the queue manager, its disk, and back.

Every byte is made and checked on the fly; nobody holds a film in memory, this test included. `make test` sends half a
gigabyte; `FILM_MEGABYTES=2048 pytest tests/integration/test_front_door_files.py` sends what a film can have.
"""

import hashlib
import http.client
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from services.local.running import is_alive
from tests.support.workshop_room import Workshop, password_of, workshop_room

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FILM_MEGABYTES = int(os.environ.get("FILM_MEGABYTES", "512"))
MORE_MEMORY_KIB = 100_000
PATIENCE = 600
"""Seconds that a slow machine may take for one answer."""

UPLOADS, UPLOAD_MEGABYTES = 20, 50
MIB = 1 << 20
BOUNDARY = "a-film-is-coming"


def block(film: int, number: int) -> bytes:
    """One mebibyte of a film that no other film and no other place of this one has."""
    return (film << 32 | number).to_bytes(8, "big") * (MIB // 8)


@dataclass(frozen=True)
class Film:
    """A file of so many mebibytes; never in memory as a whole."""

    number: int
    megabytes: int

    @property
    def name(self) -> str:
        return f"film {self.number}.mp4"

    def blocks(self) -> Iterator[bytes]:
        """The content."""
        return (block(self.number, number) for number in range(self.megabytes))

    def form(self) -> tuple[bytes, bytes]:
        """What stands in front of and behind the content in the form that the page sends."""
        head = f'Content-Disposition: form-data; name="image"; filename="{self.name}"\r\nContent-Type: video/mp4'
        return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode(), f"\r\n--{BOUNDARY}--\r\n".encode()

    def digest(self) -> str:
        """SHA-256 of the content."""
        digest = hashlib.sha256()
        for part in self.blocks():
            digest.update(part)
        return digest.hexdigest()


class Line:
    """A browser's connection to the front door; costs next to nothing beside the services."""

    def __init__(self, workshop: Workshop, name: str) -> None:
        port = workshop.configuration.https_port
        trust = workshop.door.trust
        self._line = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=PATIENCE, blocksize=MIB)
        self._name = name
        self._headers = {"Cookie": session_of(workshop, name)}

    def upload(self, film: Film) -> int:
        """Send a film as the page sends a picture; gives the answer's status."""
        head, tail = film.form()
        body = (part for parts in ((head,), film.blocks(), (tail,)) for part in parts)
        size = len(head) + film.megabytes * MIB + len(tail)
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Content-Length": str(size)}
        self._line.request("POST", f"/{self._name}/upload/image", body, self._headers | kind)
        answer = self._line.getresponse()
        answer.read()
        return answer.status

    def get(self, film: Film, **headers: str) -> http.client.HTTPResponse:
        """Ask for an uploaded film; the body is to be read."""
        path = f"/{self._name}/view?filename={film.name.replace(' ', '%20')}&type=input"
        self._line.request("GET", path, headers=self._headers | headers)
        return self._line.getresponse()

    def close(self) -> None:
        """Hang up."""
        self._line.close()


def session_of(workshop: Workshop, name: str) -> str:
    """The cookie that signing in with the password gives."""
    with httpx.Client(verify=workshop.door.trust, auth=(name, password_of(name)), timeout=PATIENCE) as browser:
        return browser.get(workshop.address(name)).headers["set-cookie"].split(";")[0]


class Memory:
    """How much memory every service has had at most, counted from now on."""

    def __init__(self) -> None:
        children = psutil.Process().children(recursive=True)
        services = {child: " ".join(child.cmdline()[:4]) for child in children if is_alive(child)}
        self._names = {service.pid: f"{name} ({service.pid})" for service, name in services.items()}
        for pid in self._names:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the high-water mark begins anew
        self._before = {pid: self._most(pid) for pid in self._names}

    @staticmethod
    def _most(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    def check(self) -> None:
        """Fail where a service took more than a film may cost, or has died of it."""
        grown = {self._names[pid]: self._most(pid) - before for pid, before in self._before.items()}
        print("\n".join(f"{kib:8d} KiB {name}" for name, kib in grown.items()))
        for part in ("queue_manager", "frontend", "auth", "nginx: worker", "redis-server"):
            assert any(part in name for name in grown), part
        assert {name: kib for name, kib in grown.items() if kib > MORE_MEMORY_KIB} == {}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("films")
    with workshop_room(folder, ("alice", "bob")) as room:
        yield room
    shutil.rmtree(folder)  # the folders of earlier runs are kept, and films are large


def test_a_film_goes_up_and_comes_down_with_less_than_100_mb_more_memory_in_every_service(workshop: Workshop) -> None:
    film, line, memory = Film(0, FILM_MEGABYTES), Line(workshop, "alice"), Memory()
    assert line.upload(film) == 200
    answer, buffer, digest = line.get(film), bytearray(MIB), hashlib.sha256()
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(FILM_MEGABYTES * MIB))
    while got := answer.readinto(buffer):
        digest.update(memoryview(buffer)[:got])
    assert digest.hexdigest() == film.digest()
    memory.check()
    line.close()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        (f"bytes={100 * MIB}-{100 * MIB + 4095}", 100 * MIB, 100 * MIB + 4095),
        ("bytes=0-0", 0, 0),
        ("bytes=-4096", FILM_MEGABYTES * MIB - 4096, FILM_MEGABYTES * MIB - 1),
    ],
)
def test_a_player_gets_just_the_part_it_asks_for(workshop: Workshop, asked: str, first: int, last: int) -> None:
    film, line = Film(0, FILM_MEGABYTES), Line(workshop, "alice")
    answer = line.get(film, Range=asked)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{FILM_MEGABYTES * MIB}"
    assert answer.read() == block(0, first // MIB)[first % MIB : first % MIB + last - first + 1]
    line.close()


def test_a_part_behind_the_end_is_refused(workshop: Workshop) -> None:
    line = Line(workshop, "alice")
    answer = line.get(Film(0, FILM_MEGABYTES), Range=f"bytes={FILM_MEGABYTES * MIB}-")
    assert answer.status == 416
    line.close()


def test_twenty_uploads_at_a_time_arrive_whole(workshop: Workshop) -> None:
    films = [Film(number, UPLOAD_MEGABYTES) for number in range(1, UPLOADS + 1)]

    def send(film: Film) -> int:
        line = Line(workshop, ("alice", "bob")[film.number % 2])
        try:
            return line.upload(film)
        finally:
            line.close()

    memory = Memory()
    with ThreadPoolExecutor(UPLOADS) as people:
        assert set(people.map(send, films)) == {200}
    memory.check()
    kept: dict[str, str] = {}
    for name in ("alice", "bob"):
        with workshop.queue.client(name) as http:
            kept |= {entry["name"]: entry["sha256"] for entry in http.get("/api/inputs").json()["inputs"]}
    assert {film.name: film.digest() for film in films}.items() <= kept.items()


def test_what_is_submitted_never_waits_for_a_file_at_the_front_door(workshop: Workshop) -> None:
    """A body that nginx puts into a file waits 44 ms for a delayed acknowledgement behind it."""
    folder = Path(str(workshop.configuration.run_dir)) / "body"
    line, cookie = workshop.configuration.https_port, session_of(workshop, "alice")
    before = folder.stat().st_mtime_ns
    for kilobytes in (2, 12, 40, 200, 1000):
        door = http.client.HTTPSConnection("127.0.0.1", line, context=workshop.door.trust, timeout=PATIENCE)
        body = b'{"prompt": {}, "client_id": "' + b"x" * kilobytes * 1000 + b'"}'
        door.request("POST", "/alice/prompt", body, {"Cookie": cookie, "Content-Type": "application/json"})
        assert door.getresponse().status == 400  # a graph without an output; it was read to its end
        door.close()
    assert folder.stat().st_mtime_ns == before, "nginx made a file for a body"
