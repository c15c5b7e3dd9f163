"""Credentials as files: what appears, changes or goes in the folder holds in every process, and nothing else moves."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.queue_manager import keys
from tests.support.credentials import write_credentials
from tests.support.queue_process import QueueProcess, token_of
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.workbench import GRAPH

pytestmark = pytest.mark.slow

STAFF = (("instructor", "ines"), ("operator", "otto"))


@dataclass
class Room:
    """Two managers that follow one folder on one Redis."""

    redis: RedisServer
    managers: tuple[QueueProcess, QueueProcess]

    @property
    def folder(self) -> Path:
        """The folder of credentials."""
        return self.managers[0].credentials

    def put(self, role: str, name: str, token: str) -> None:
        """Write one file."""
        write_credentials(self.folder, [(role, name, token)])

    def remove(self, role: str, name: str) -> None:
        """Take one file away."""
        (self.folder / f"{role}-{name}.json").unlink()

    def statuses(self, token: str) -> list[int]:
        """What each manager answers to a token."""
        answers = []
        for manager in self.managers:
            with manager.client() as client:
                answers.append(client.get("/api/jobs", headers=_bearer(token)).status_code)
        return answers

    def wait_statuses(self, token: str, status: int) -> None:
        """Return when each manager answers so."""
        wait_for(lambda: self.statuses(token) == [status, status], f"both managers to answer {status}")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def a_token(letter: str) -> str:
    """A token made of one letter."""
    return "cme_" + letter * 43


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("folder")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        one = stack.enter_context(QueueProcess(folder / "one", redis.url, people=STAFF))
        shared = {"CREDENTIALS_DIR": str(one.credentials)}
        two = stack.enter_context(QueueProcess(folder / "two", redis.url, people=(), settings=shared))
        yield Room(redis, (one, two))


def test_whoever_is_in_the_folder_is_known_when_the_manager_is_ready(room: Room) -> None:
    assert room.statuses(token_of("ines")) == [200, 200]


def test_a_new_file_is_a_new_credential_and_a_changed_token_counts_alone_in_every_process(room: Room) -> None:
    room.put("participant", "anna", a_token("a"))
    room.wait_statuses(a_token("a"), 200)
    room.put("participant", "anna", a_token("b"))
    room.wait_statuses(a_token("b"), 200)
    assert room.statuses(a_token("a")) == [401, 401]
    assert room.statuses(token_of("ines")) == [200, 200]


def test_when_a_file_goes_its_owner_is_out_and_her_jobs_are_cancelled(room: Room) -> None:
    room.put("participant", "berta", a_token("c"))
    room.wait_statuses(a_token("c"), 200)
    with room.managers[0].client() as client:
        job = client.post("/api/jobs", json={"workflow": GRAPH}, headers=_bearer(a_token("c"))).json()["id"]
    room.remove("participant", "berta")
    room.wait_statuses(a_token("c"), 401)
    with room.managers[1].client("ines") as ines:
        wait_for(lambda: ines.get(f"/api/jobs/{job}").json()["state"] == "cancelled", "the job to be cancelled")
    assert room.statuses(token_of("ines")) == [200, 200]


def test_a_file_that_is_replaced_keeps_its_owners_jobs(room: Room) -> None:
    room.put("participant", "carla", a_token("d"))
    room.wait_statuses(a_token("d"), 200)
    with room.managers[0].client() as client:
        job = client.post("/api/jobs", json={"workflow": GRAPH}, headers=_bearer(a_token("d"))).json()["id"]
    room.remove("participant", "carla")
    room.put("participant", "carla", a_token("e"))
    room.wait_statuses(a_token("e"), 200)
    with room.managers[0].client() as client:
        assert client.get(f"/api/jobs/{job}", headers=_bearer(a_token("e"))).json()["state"] == "queued"


@pytest.mark.parametrize(
    "content", ["", '{"role": "participant", "name": "dora", "tok', '{"role": "operator", "name": "dora"}', "[]"]
)
def test_a_file_that_makes_no_sense_changes_nothing(room: Room, content: str) -> None:
    room.put("participant", "dora", a_token("f"))
    room.wait_statuses(a_token("f"), 200)
    (room.folder / "participant-dora.json").write_text(content)
    room.put("participant", "after", a_token("g"))  # taken over after the other one was looked at
    room.wait_statuses(a_token("g"), 200)
    assert room.statuses(a_token("f")) == [200, 200]
    room.put("participant", "dora", a_token("h"))
    room.wait_statuses(a_token("h"), 200)
    assert room.statuses(a_token("f")) == [401, 401]
    room.remove("participant", "dora")
    room.remove("participant", "after")
    room.wait_statuses(a_token("h"), 401)
    room.wait_statuses(a_token("g"), 401)


def test_what_the_operator_changes_over_http_stays_until_the_file_changes(room: Room) -> None:
    room.put("participant", "emma", a_token("i"))
    room.put("participant", "fred", a_token("j"))
    room.wait_statuses(a_token("i"), 200)
    room.wait_statuses(a_token("j"), 200)
    with room.managers[0].client("otto") as otto:
        fresh = otto.put("/api/credentials/participant/emma").json()["token"]
        assert otto.delete("/api/credentials/participant/fred").status_code == 204
    room.put("participant", "gina", a_token("k"))
    room.wait_statuses(a_token("k"), 200)
    assert [room.statuses(token) for token in (fresh, a_token("i"), a_token("j"))] == [[200] * 2, [401] * 2, [401] * 2]
    room.put("participant", "emma", a_token("l"))
    room.wait_statuses(a_token("l"), 200)
    assert room.statuses(fresh) == [401, 401]


def test_a_token_or_a_name_of_somebody_else_is_not_taken_over(room: Room) -> None:
    room.put("participant", "hans", token_of("ines"))
    room.put("worker", "ines", a_token("m"))
    room.put("participant", "ida", a_token("n"))
    room.wait_statuses(a_token("n"), 200)
    assert room.statuses(a_token("m")) == [401, 401]
    with room.managers[0].client("otto") as otto:
        known = {(one["role"], one["name"]) for one in otto.get("/api/credentials").json()}
    assert ("instructor", "ines") in known
    assert not {("participant", "hans"), ("worker", "ines")} & known
    room.remove("participant", "hans")
    room.remove("worker", "ines")


def test_an_empty_or_missing_folder_removes_nobody(room: Room) -> None:
    away = room.folder.with_name("away")
    room.folder.rename(away)
    wait_for(lambda: "cannot be read" in room.managers[0].log.read_text(), "the manager to miss its folder")
    room.folder.mkdir()
    assert httpx.get(f"{room.managers[0].url}/readyz").status_code == 200
    room.folder.rmdir()
    away.rename(room.folder)
    room.put("participant", "jana", a_token("o"))
    room.wait_statuses(a_token("o"), 200)
    assert room.statuses(token_of("ines")) == [200, 200]


def test_a_redis_that_lost_its_data_gets_everybody_back_from_the_folder(room: Room) -> None:
    with room.redis.client() as redis:
        redis.delete(keys.CREDENTIALS, keys.CREDENTIAL_FILES)
        wait_for(lambda: redis.hexists(keys.CREDENTIALS, "instructor:ines"), "the folder to be read into Redis again")
    room.managers[1].kill()
    room.managers[1].start()
    assert room.statuses(token_of("ines")) == [200, 200]


def test_neither_tokens_nor_paths_stand_in_the_log(room: Room) -> None:
    for manager in room.managers:
        text = manager.log.read_text()
        assert "cme_" not in text
        assert str(room.folder) not in text


def test_a_folder_that_is_not_there_at_the_start_is_named(tmp_path: Path, room: Room) -> None:
    manager = QueueProcess(tmp_path, room.redis.url, people=(), settings={"CREDENTIALS_DIR": str(tmp_path / "nothing")})
    with pytest.raises(RuntimeError, match="QUEUE_CREDENTIALS_DIR names nothing, which is no folder"):
        manager.start()
    manager.stop()
