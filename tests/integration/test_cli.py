"""The command line against a real queue manager: what it prints, its JSON, its exit codes, and what it leaves alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.cli import __main__ as cli
from tests.support.credentials import write_credentials
from tests.support.ports import free_port
from tests.support.queue_process import EVERYBODY, ROOT, QueueProcess, token_of
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


@dataclass(frozen=True)
class Answer:
    """What one call of the command line left: exit code, answer, notes."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The answer as JSON."""
        return json.loads(self.out)


Comfyume = Callable[..., Answer]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueProcess]:
    """A queue manager with everybody's credentials and no worker: jobs wait."""
    folder = tmp_path_factory.mktemp("cli")
    with RedisServer(folder / "redis") as redis, QueueProcess(folder / "manager", redis.url) as manager:
        yield manager


@pytest.fixture
def comfyume(
    manager: QueueProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Comfyume:
    """Run the command line in this process, with the credentials of a workshop folder as `make up` makes it."""
    folder = tmp_path / "workshop"
    folder.mkdir()
    write_credentials(folder / "credentials", ((role, name, token_of(name)) for role, name in EVERYBODY))
    (folder / "running.json").write_text(json.dumps({"url": manager.url}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("COMFYUME_URL", "COMFYUME_TOKEN", "COMFYUME_WORKSHOP", "FORCE_COLOR", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    with manager.client("alice") as alice, manager.client("bob") as bob:
        for client in (alice, bob):
            client.post("/api/jobs/cancel", json={"states": ["queued"]}).raise_for_status()

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr("sys.argv", ["comfyume", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        code = end.value.code
        assert isinstance(code, int | None)
        return Answer(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A workflow with its picture beside it."""
    (tmp_path / "photo.png").write_bytes(b"not really a picture")
    path = tmp_path / "shot.json"
    path.write_text(json.dumps(WORKFLOW), encoding="utf-8")
    return path


def test_a_submit_uploads_the_picture_beside_the_workflow_and_says_how_to_go_on(
    comfyume: Comfyume, workflow: Path, manager: QueueProcess
) -> None:
    answer = comfyume("submit", str(workflow), "--label", "[b]take 1[/b]")
    assert answer.code == 0, answer.err
    assert "uploaded photo.png" in answer.err
    number = answer.out.split()[1].rstrip(":")
    assert f"comfyume watch {number}" in answer.out
    with manager.client("alice") as alice:
        names = {one["name"] for one in alice.get("/api/inputs").json()["inputs"]}
    assert "photo.png" in names
    table = comfyume("status").out
    assert "[b]take 1[/b]" in table  # as typed: not taken for markup
    assert "queued" in table


def test_json_is_the_queue_managers_own_answer(comfyume: Comfyume, workflow: Path) -> None:
    submitted = comfyume("submit", str(workflow), "--json").data
    job = comfyume("status", str(submitted["number"]), "--json").data
    assert (job["id"], job["state"], job["participant"]) == (submitted["id"], "queued", "alice")
    assert [one["id"] for one in comfyume("status", "--state", "queued", "--json").data] == [job["id"]]


def test_several_workflows_are_submitted_together(comfyume: Comfyume, workflow: Path) -> None:
    answer = comfyume("submit", str(workflow), str(workflow), str(workflow), "--json")
    numbers = [one["number"] for one in answer.data]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_the_same_idempotency_key_submits_one_job(comfyume: Comfyume, workflow: Path) -> None:
    first = comfyume("submit", str(workflow), "--idempotency-key", "shot-7", "--json").data
    again = comfyume("submit", str(workflow), "--idempotency-key", "shot-7", "--json").data
    assert (again["id"], again["duplicate"]) == (first["id"], True)


def test_a_job_is_named_by_number_or_by_the_beginning_of_its_id(comfyume: Comfyume, workflow: Path) -> None:
    job = comfyume("submit", str(workflow), "--json").data
    for reference in (str(job["number"]), job["id"], job["id"][:13]):
        assert comfyume("status", reference, "--json").data["id"] == job["id"]


def test_cancel_and_requeue_say_what_became_of_the_job(comfyume: Comfyume, workflow: Path) -> None:
    number = str(comfyume("submit", str(workflow), "--json").data["number"])
    assert f"job {number}: cancelled" in comfyume("cancel", number).out
    assert f"job {number}: queued" in comfyume("requeue", number).out
    assert comfyume("cancel", "--waiting").code == 0
    assert comfyume("status", number, "--json").data["state"] == "cancelled"


def test_watching_a_job_that_did_not_succeed_ends_with_code_1(comfyume: Comfyume, workflow: Path) -> None:
    number = str(comfyume("submit", str(workflow), "--json").data["number"])
    comfyume("cancel", number)
    answer = comfyume("watch", number)
    assert answer.code == 1
    assert f"Job {number} ended as cancelled" in answer.err


class Watching:
    """`comfyume watch` as a process of its own, started by a person who waits."""

    def __init__(self, folder: Path, number: str) -> None:
        self._file = folder / "watching.txt"
        with self._file.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", "watch", number],
                cwd=ROOT,
                env={**os.environ, "COMFYUME_WORKSHOP": str(folder / "workshop")},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._file.read_text(encoding="utf-8")

    def wait_for(self, words: str) -> None:
        """Wait until it has printed these words."""
        wait_for(lambda: words in self.text or self.process.poll() is not None, words)
        assert words in self.text


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_come_back(
    comfyume: Comfyume, workflow: Path, tmp_path: Path
) -> None:
    job = comfyume("submit", str(workflow), "--json").data
    watching = Watching(tmp_path, str(job["number"]))
    watching.wait_for("queued")
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(90) == 130
    assert f"comfyume watch {job['id'][:8]}" in watching.text
    assert "Traceback" not in watching.text
    assert comfyume("status", job["id"], "--json").data["state"] == "queued"


def test_who_watches_waits_for_a_queue_manager_that_is_away_and_goes_on(
    comfyume: Comfyume, workflow: Path, tmp_path: Path, manager: QueueProcess
) -> None:
    number = str(comfyume("submit", str(workflow), "--json").data["number"])
    watching = Watching(tmp_path, number)
    watching.wait_for("queued")
    manager.kill()
    watching.wait_for("Waiting for it; the job goes on.")
    manager.start()
    watching.wait_for("It answers again.")
    comfyume("cancel", number)
    assert watching.process.wait(90) == 1
    assert f"Job {number} ended as cancelled" in watching.text


def test_a_job_without_files_says_so(comfyume: Comfyume, workflow: Path) -> None:
    number = str(comfyume("submit", str(workflow), "--json").data["number"])
    assert "No files." in comfyume("outputs", number).out
    assert comfyume("outputs", number, "--json").data == []


def test_the_instructor_steers_the_room(comfyume: Comfyume, workflow: Path) -> None:
    number = str(comfyume("submit", str(workflow), "--json", "--as", "bob").data["number"])
    job = comfyume("status", number, "--json", "--as", "bob").data["id"]
    assert comfyume("queue", "discipline", "fifo").code == 0
    assert comfyume("queue", "caps", "--waiting", "7").code == 0
    assert comfyume("queue", "caps", "--participant", "bob", "--running", "2").code == 0
    assert comfyume("queue", "pause").code == 0
    assert "of bob" in comfyume("queue", "run-next", job).out
    assert "of bob" in comfyume("queue", "priority", job, "high").out
    room = comfyume("queue", "--json").data
    assert (room["discipline"], room["paused"], room["caps"]["waiting"]) == ("fifo", True, 7)
    assert "fifo, paused" in comfyume("queue").out
    assert comfyume("queue", "drain").code == comfyume("queue", "resume").code == 0
    assert comfyume("queue", "new-session").code == 0
    room = comfyume("queue", "--json").data
    assert (room["paused"], room["draining"]) == (False, False)
    comfyume("queue", "discipline", "round_robin")
    comfyume("queue", "caps", "--waiting", "32")


def test_the_operator_adds_rotates_and_removes_a_participant(comfyume: Comfyume, tmp_path: Path) -> None:
    def kept() -> dict[str, str]:
        known = [json.loads(file.read_text()) for file in (tmp_path / "workshop/credentials").glob("*.json")]
        return {one["name"]: one["token"] for one in known}

    issued = comfyume("participants", "add", "dora", "--json").data
    assert kept()["dora"] == issued["token"]
    assert comfyume("status", "--as", "dora").code == 0
    rotated = comfyume("participants", "rotate", "dora", "--json").data
    assert kept()["dora"] == rotated["token"] != issued["token"]
    assert comfyume("status", "--as", "dora").code == 0
    assert "dora" in comfyume("participants", "list").out
    assert "Would be done: dora" in comfyume("participants", "remove", "dora", "--dry-run").out
    assert comfyume("participants", "remove", "dora", "--yes").code == 0
    assert "dora" not in kept()
    assert "dora" not in comfyume("participants", "list").out


def test_the_instructor_publishes_a_workflow_and_takes_it_back(
    comfyume: Comfyume, workflow: Path, tmp_path: Path
) -> None:
    canvas = tmp_path / "Lesson 1.json"
    canvas.write_text('{"nodes": [], "links": []}', encoding="utf-8")
    assert "template list" in comfyume("workflows", "publish", str(canvas)).out
    assert comfyume("workflows", "publish", str(canvas), "--name", "Lesson 2", "--as", "otto").code == 0
    listed = comfyume("workflows", "list", "--json").data
    assert [(one["name"], one["size"]) for one in listed] == [("Lesson 1", 26), ("Lesson 2", 26)]
    assert "Lesson 2" in comfyume("workflows", "list", "--as", "alice").out
    for refused, code, words in (
        (("publish", str(workflow)), 2, "API format"),
        (("publish", str(tmp_path / "none.json")), 4, "no such file"),
        (("publish", str(canvas), "--name", "../x"), 2, "no slash"),
        (("publish", str(canvas), "--as", "alice"), 3, "instructor"),
        (("unpublish", "Lesson 3"), 4, "no published workflow"),
    ):
        answer = comfyume("workflows", *refused)
        assert (answer.code, words in answer.err) == (code, True), answer
    for name in ("Lesson 1", "Lesson 2"):
        assert comfyume("workflows", "unpublish", name).code == 0
    assert comfyume("workflows", "list").out == "No workflow is published.\n"


def test_no_worker_is_a_sentence_and_an_empty_list(comfyume: Comfyume) -> None:
    assert "No worker" in comfyume("workers").out
    assert comfyume("workers", "--json").data == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("status", "987654"), 4, "no job 987654"),
        (("status", "NOT-A-JOB"), 2, "names no job"),
        (("submit", "missing.json"), 4, "missing.json"),
        (("submit", "workshop/running.json"), 2, "API format"),
        (("cancel",), 2, "Name the jobs"),
        (("queue", "caps"), 2, "Say what to change"),
        (("queue", "pause", "--as", "alice"), 3, "instructor"),
        (("status", "--as", "nobody"), 4, "--as nobody"),
        (("participants", "add", "Not A Name"), 2, "NAME"),
        (("participants", "add", "alice"), 2, "takes part already"),
        (("participants", "remove", "zoe", "--yes"), 4, "no participant zoe"),
        (("submit",), 2, "Missing argument"),
        (("status", "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    comfyume: Comfyume, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = comfyume(*arguments)
    assert answer.code == code, answer
    assert words in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_a_wrong_token_is_refused_with_code_3(
    comfyume: Comfyume, manager: QueueProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYUME_URL", manager.url)
    monkeypatch.setenv("COMFYUME_TOKEN", "cme_" + "x" * 43)
    answer = comfyume("status")
    assert answer.code == 3
    assert "cme_" not in answer.out + answer.err


def test_no_queue_manager_is_code_5_and_names_the_address(comfyume: Comfyume, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("COMFYUME_URL", url)
    answer = comfyume("status", "--json")
    assert answer.code == 5
    refusal = json.loads(answer.err)
    assert (refusal["error"], url in refusal["detail"]) == ("unavailable", True)


def test_a_wrong_setting_is_named(comfyume: Comfyume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUME_URL", "somewhere")
    answer = comfyume("status")
    assert (answer.code, "COMFYUME_URL" in answer.err) == (2, True)


def test_the_exit_codes_stand_in_the_help(comfyume: Comfyume) -> None:
    words = " ".join(comfyume("--help").out.split())
    for code in ("0 done", "1 failed", "2 wrong usage", "3 not signed in", "4 not found", "5 full or away"):
        assert code in words
