"""The workshop on one machine, as a person starts, uses, kills and stops it: every part a real process."""

import json
import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from services.local.running import is_alive
from tests.support.local_workshop import FIRST_JOB, UP, LocalWorkshop
from tests.support.wait import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def _one_workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkshop]:
    workshop = LocalWorkshop(tmp_path_factory.mktemp("local"), WORKSHOP_PARTICIPANTS="2", WORKSHOP_DRAIN_SECONDS="30")
    yield workshop
    workshop.end()


@pytest.fixture
def workshop(_one_workshop: LocalWorkshop) -> LocalWorkshop:
    """A workshop that is up; the tests share it and may stop or kill it."""
    _one_workshop.ensure_up()
    return _one_workshop


def jobs_of(workshop: LocalWorkshop) -> list[tuple[str, str, str]]:
    """Id, label and state of every job of user001, newest first."""
    with workshop.api("user001") as api:
        return [(job["id"], job["label"], job["state"]) for job in api.get("/api/jobs")["jobs"]]


def set_paused(workshop: LocalWorkshop, *, paused: bool) -> None:
    """Pause or resume the room, as the instructor."""
    with workshop.api("instructor") as api:
        api.send("PUT", "/api/queue/paused", json={"paused": paused})


def test_the_line_that_the_start_prints_brings_the_expected_picture(workshop: LocalWorkshop, tmp_path: Path) -> None:
    line = next(line for line in workshop.text.splitlines() if " submit " in line)
    arguments = line.split()[1:-1]  # without the program's path, and with another output folder
    done = workshop.comfyume(*arguments, str(tmp_path))
    assert done.returncode == 0, done.stderr
    (picture,) = tmp_path.rglob("*.png")
    assert str(picture) in done.stdout
    with Image.open(picture) as ours, Image.open(FIRST_JOB / "expected.png") as expected:
        assert (ours.mode, ours.size) == (expected.mode, expected.size)
        assert ours.tobytes() == expected.tobytes()


def test_a_workflow_that_no_worker_can_run_is_refused_node_by_node(workshop: LocalWorkshop, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    graph = json.loads((FIRST_JOB / "workflow.json").read_text(encoding="utf-8"))
    graph["2"]["inputs"]["upscale_method"] = "by-hand"
    path.write_text(json.dumps(graph), encoding="utf-8")
    done = workshop.comfyume("submit", str(path), "--input", str(FIRST_JOB / "photo.jpg"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "node 2 ImageScale" in done.stderr
    assert "by-hand" in done.stderr


def test_a_second_start_says_where_the_first_one_runs(workshop: LocalWorkshop) -> None:
    done = workshop.verb("up")
    assert done.returncode == 1
    assert "runs already" in done.stderr
    assert workshop.recorded["url"] in done.stderr
    assert workshop.pid("redis")


def test_status_names_every_part_and_where_it_is(workshop: LocalWorkshop) -> None:
    rows = json.loads(workshop.verb("status", "--json").stdout)
    assert [row["part"] for row in rows][:3] == ["redis", "queue-manager", "worker-1"]
    assert {row["state"] for row in rows} == {"ready"}
    assert rows[1]["where"] == workshop.recorded["url"]


def test_nobody_else_can_read_the_workshops_folder(workshop: LocalWorkshop) -> None:
    assert stat.S_IMODE(workshop.folder.stat().st_mode) == 0o700
    for file in ("credentials/operator-operator.json", "running.json", "redis/redis.conf", "redis/password"):
        assert stat.S_IMODE((workshop.folder / file).stat().st_mode) == 0o600


def test_redis_is_durable_closed_and_never_evicts(workshop: LocalWorkshop) -> None:
    config = (workshop.folder / "redis" / "redis.conf").read_text(encoding="utf-8")
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "bind 127.0.0.1"):
        assert line in config
    with socket.create_connection(
        ("127.0.0.1", int(workshop.environment["WORKSHOP_REDIS_PORT"])), timeout=60
    ) as to_redis:
        to_redis.sendall(b"PING\r\n")
        assert to_redis.recv(100).startswith(b"-NOAUTH")


def test_everybody_has_a_web_ui_behind_the_front_door(workshop: LocalWorkshop) -> None:
    for name in ("user001", "user002"):
        with workshop.browser(name) as browser:
            assert browser.get(f"/{name}/").status_code == 200
            assert "KSampler" in browser.get(f"/{name}/api/object_info").json()
    with workshop.browser("user001") as browser:
        assert browser.get("/user002/").status_code == 403
    assert stat.S_IMODE((workshop.folder / "sign-in.json").stat().st_mode) == 0o600


def test_the_instructor_and_the_operator_have_the_console_and_participants_do_not(workshop: LocalWorkshop) -> None:
    for name in ("instructor", "operator"):
        assert re.search(rf"/admin/ +{re.escape(workshop.password(name))}", workshop.text)
        with workshop.browser(name) as browser:
            page = browser.get("/admin/")
            assert (page.status_code, name in page.text) == (200, True)
            with browser.stream("GET", "/admin/live") as stream:
                assert next(line for line in stream.iter_lines() if line == "event: room")
    with workshop.browser("user001") as browser:
        assert browser.get("/admin/").status_code == 403


def test_a_published_workflow_is_in_everybodys_template_list(workshop: LocalWorkshop, tmp_path: Path) -> None:
    (tmp_path / "Lesson 1.json").write_text('{"nodes": []}')
    assert workshop.comfyume("workflows", "publish", str(tmp_path / "Lesson 1.json")).returncode == 0
    for name in ("user001", "user002"):
        with workshop.browser(name) as browser:
            assert browser.get(f"/{name}/api/workflow_templates").json() == {"workshop": ["Lesson 1"]}
            published = browser.get(f"/{name}/api/workflow_templates/workshop/Lesson%201.json")
            assert published.json() == {"nodes": []}


def test_somebody_joins_and_leaves_and_the_others_stay_connected(workshop: LocalWorkshop) -> None:
    before = {part["name"]: part["pid"] for part in workshop.recorded["parts"]}
    assert workshop.comfyume("participants", "add", "dora").returncode == 0
    wait_for(lambda: workshop.said("web-ui-dora", "ready"), "dora's web UI")
    with workshop.browser("dora") as dora:
        wait_for(lambda: dora.get("/dora/api/settings").status_code == 200, "the front door to lead to dora")
    assert workshop.comfyume("participants", "remove", "dora", "--yes").returncode == 0
    wait_for(lambda: workshop.said("web-ui-dora", "stopped"), "dora's web UI to end")
    wait_for(
        lambda: {part["name"]: part["pid"] for part in workshop.recorded["parts"]} == before,
        "everybody else to run as before",
    )


def test_a_new_password_is_one_command_and_ends_that_persons_sessions(workshop: LocalWorkshop) -> None:
    with workshop.browser("user001") as first, workshop.browser("user002") as second:
        assert first.get("/user001/api/settings").status_code == 200
        assert second.get("/user002/api/settings").status_code == 200
        done = workshop.verb("password", "user001")
        assert done.returncode == 0, done.stderr
        assert first.get("/user001/api/settings").status_code == 401
        assert second.get("/user002/api/settings").status_code == 200
    with workshop.browser("user001") as again:
        assert again.get("/user001/api/settings").status_code == 200
        assert again.auth is not None
    assert workshop.verb("password", "nobody").returncode == 4


def test_after_sigkill_of_everything_the_queue_is_as_it_was(workshop: LocalWorkshop) -> None:
    set_paused(workshop, paused=True)
    submitted = workshop.comfyume("submit", *[str(FIRST_JOB / "workflow.json")] * 3, "--label", "a take")
    assert submitted.returncode == 0, submitted.stderr
    before = jobs_of(workshop)
    assert [state for _id, label, state in before if label == "a take"] == ["queued"] * 3
    workshop.kill_everything()

    workshop.ensure_up()

    assert jobs_of(workshop) == before
    with workshop.api("instructor") as api:
        assert api.get("/api/queue")["paused"] is True
    set_paused(workshop, paused=False)
    wait_for(lambda: {state for _id, _label, state in jobs_of(workshop)} == {"succeeded"}, "the jobs to succeed")


def test_a_part_that_dies_is_named_and_started_again(workshop: LocalWorkshop) -> None:
    for part in ("redis", "queue-manager", "worker-1"):
        before = workshop.said(part, "ready")
        os.kill(workshop.pid(part), signal.SIGKILL)
        wait_for(lambda part=part, before=before: workshop.said(part, "ready") > before, f"{part} to be back")  # type: ignore[misc]
        assert workshop.said(part, "died with exit code -9")
    done = workshop.comfyume("submit", str(FIRST_JOB / "workflow.json"), "--watch")
    assert done.returncode == 0, done.stderr


def test_parts_that_outlived_their_runner_are_ended_by_the_next_start(workshop: LocalWorkshop) -> None:
    left = [psutil.Process(int(part["pid"])) for part in workshop.recorded["parts"]]
    workshop.kill_runner()
    assert all(is_alive(process) for process in left)

    workshop.ensure_up()

    assert workshop.text.count("left over") == len(left) >= 3
    assert not any(is_alive(process) for process in left)


def test_the_end_comes_in_order_and_leaves_nothing_behind(workshop: LocalWorkshop) -> None:
    processes = [psutil.Process(int(part["pid"])) for part in workshop.recorded["parts"]]
    family = [one for process in processes for one in (process, *process.children(recursive=True))]
    assert workshop.stop(signal.SIGINT) == 0
    stops = [line.split()[1] for line in workshop.text.splitlines() if line.endswith("| stopped")]
    assert len(stops) == len(processes)
    assert stops[-2:] == ["queue-manager", "redis"]
    wait_for(lambda: not any(is_alive(process) for process in family), "every process to be gone")
    assert workshop.recorded["parts"] == []
    status = workshop.verb("status")
    assert (status.returncode, "does not run" in status.stdout) == (1, True)


@pytest.mark.parametrize("variable", ["WORKSHOP_QUEUE_PORT", "WORKSHOP_REDIS_PORT"])
def test_a_port_in_use_is_named_with_the_setting_that_changes_it(tmp_path: Path, variable: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        workshop = LocalWorkshop(tmp_path, **{variable: str(other.getsockname()[1])})
        done = workshop.verb("up")
    assert done.returncode == 1
    assert workshop.environment[variable] in done.stderr
    assert f"{variable}=" in done.stderr
    assert UP not in done.stdout


def test_a_part_that_cannot_start_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    workshop = LocalWorkshop(tmp_path, WORKSHOP_PARTICIPANTS="1")
    done = workshop.verb("up", QUEUE_LEASE_SECONDS="soon")
    assert done.returncode == 1
    assert "queue-manager" in done.stderr
    assert "LEASE_SECONDS" in done.stdout.upper()
    assert workshop.recorded["parts"] == []


def test_down_says_when_there_is_nothing_to_stop(tmp_path: Path) -> None:
    done = LocalWorkshop(tmp_path).verb("down")
    assert (done.returncode, "does not run" in done.stdout) == (0, True)
