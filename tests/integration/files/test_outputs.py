"""Output files: staged under a lease, visible all at once, one set for each job, whatever dies in between."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.wait import wait_for
from tests.support.workbench import Person, Workbench

pytestmark = pytest.mark.slow


def _listed(person: Person, job_id: str) -> dict[str, str]:
    outputs = person.http.get(f"/api/jobs/{job_id}/outputs").json()["outputs"]
    return {file["filename"]: file["url"] for file in outputs}


def _on_disk(workbench: Workbench, folder: str, *parts: str) -> list[str]:
    root = workbench.data.joinpath(folder, *parts)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_outputs_are_listed_all_at_once_when_the_job_completes(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    first = leased.upload("a.png", b"picture a", subfolder="sub dir")
    leased.upload("b.webp", b"preview b", type_="temp")
    assert first.json() == {
        "node_id": "2",
        "kind": "images",
        "type": "output",
        "subfolder": "sub dir",
        "filename": "a.png",
        "size": 9,
        "sha256": hashlib.sha256(b"picture a").hexdigest(),
    }
    assert _listed(anna, job_id) == {}
    assert leased.complete({"2": {"images": []}}).json() == {"state": "succeeded"}
    urls = _listed(anna, job_id)
    assert urls == {
        "a.png": f"/api/jobs/{job_id}/outputs/output/sub%20dir/a.png",
        "b.webp": f"/api/jobs/{job_id}/outputs/temp/b.webp",
    }
    assert anna.http.get(urls["a.png"]).content == b"picture a"
    assert anna.http.get(urls["b.webp"], headers={"Range": "bytes=0-6"}).content == b"preview"
    assert anna.http.head(urls["a.png"]).headers["etag"] == f'"{first.json()["sha256"]}"'
    assert _on_disk(workbench, "outputs", anna.name, job_id) == ["output/sub dir/a.png", "temp/b.webp"]
    assert not (workbench.data / "staging" / job_id).exists()


def test_nobody_else_gets_an_output_but_the_room_does(anna: Person, workbench: Workbench) -> None:
    job_id = workbench.run(anna, {"a.png": b"of anna"})
    with workbench.queue.client("p199") as stranger, workbench.queue.client("ines") as instructor:
        for path in (f"/api/jobs/{job_id}/outputs", f"/api/jobs/{job_id}/outputs/output/a.png"):
            assert stranger.get(path).status_code == 404
            assert instructor.get(path).status_code == 200


def test_only_the_files_of_the_attempt_that_completed_are_kept(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    stale = workbench.lease(job_id=job_id)
    stale.upload("old.png", b"of the first attempt")
    stale.report("return", {"reason": "test"})
    current = workbench.lease(job_id=job_id)
    late = stale.upload("late.png", b"too late")
    assert (late.status_code, late.json()["error"]) == (409, "lease_lost")
    current.upload("new.png", b"of the second attempt")
    assert stale.complete().json()["error"] == "lease_lost"
    assert current.complete().json() == {"state": "succeeded"}
    assert list(_listed(anna, job_id)) == ["new.png"]
    assert _on_disk(workbench, "outputs", anna.name, job_id) == ["output/new.png"]
    assert not (workbench.data / "staging" / job_id).exists()
    assert current.complete().json() == {"state": "succeeded"}, "a repeated report gets the recorded state"
    assert _on_disk(workbench, "outputs", anna.name, job_id) == ["output/new.png"]


def test_a_file_uploaded_twice_is_there_once_with_its_last_content(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    leased.upload("a.png", b"half")
    leased.upload("a.png", b"whole")
    leased.complete()
    assert anna.http.get(_listed(anna, job_id)["a.png"]).content == b"whole"


def test_an_upload_with_a_wrong_digest_is_refused(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    answer = leased.upload("a.png", b"picture", **{"X-Content-SHA256": "0" * 64})
    assert answer.status_code == 422
    assert "SHA-256" in answer.json()["detail"]
    leased.complete()
    assert _listed(anna, job_id) == {}


@pytest.mark.parametrize(
    ("filename", "subfolder", "type_"),
    [
        ("../a", "", "output"),
        ("a/b", "", "output"),
        ("a", "../..", "output"),
        ("a", "/etc", "temp"),
        ("a", "", "input"),
        ("", "", "output"),
    ],
)
def test_a_place_outside_the_job_is_refused(
    anna: Person, workbench: Workbench, filename: str, subfolder: str, type_: str
) -> None:
    leased = workbench.lease(job_id=anna.submit())
    answer = leased.upload(filename, b"x", subfolder=subfolder, type_=type_)
    assert answer.status_code == 422, answer.text
    assert "parameter" in answer.json()["detail"]
    leased.complete()


def test_a_file_where_a_folder_is_gets_one_clear_sentence(anna: Person, workbench: Workbench) -> None:
    leased = workbench.lease(job_id=anna.submit())
    assert leased.upload("a", b"x").status_code == 201
    answer = leased.upload("b", b"x", subfolder="a")
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    leased.complete()


def test_files_of_a_failed_job_are_removed(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    leased.upload("a.png", b"half a picture")
    error = {"type": "RuntimeError", "message": "out of paint", "node_id": None, "node_type": None}
    leased.report("fail", {"error": error, "retryable": False})
    assert _listed(anna, job_id) == {}
    assert not (workbench.data / "staging" / job_id).exists()


def test_deleting_a_job_removes_its_files_and_its_archive(anna: Person, workbench: Workbench) -> None:
    job_id = workbench.run(anna, {"a.png": b"picture"})
    archive = workbench.data / "archive" / anna.name / f"{job_id}.json"
    wait_for(archive.exists, "the job's bodies to be archived")
    assert anna.http.delete(f"/api/jobs/{job_id}").status_code == 204
    assert not (workbench.data / "outputs" / anna.name / job_id).exists()
    assert not archive.exists()


def test_a_page_or_a_drawing_with_script_is_only_downloaded(anna: Person, workbench: Workbench) -> None:
    files = {"a.html": b"<script>", "b.svg": b"<svg>", "c.js": b"alert()", "d.xhtml": b"<html/>", "e.png": b"png"}
    job_id = workbench.run(anna, files)
    for name, url in _listed(anna, job_id).items():
        headers = anna.http.get(url).headers
        assert headers["x-content-type-options"] == "nosniff"
        runs = name != "e.png"
        assert headers["content-disposition"].startswith("attachment" if runs else "inline")
        assert headers["content-type"] == ("application/octet-stream" if runs else "image/png")


def test_bodies_of_ended_jobs_move_to_disk_and_stay_readable(anna: Person, workbench: Workbench) -> None:
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    sent = anna.http.get(f"/api/jobs/{job_id}/workflow").content
    executed = {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
    leased.complete(executed)
    with workbench.redis.client() as redis:
        wait_for(lambda: not redis.exists(f"workflow:{job_id}"), "the workflow to leave Redis")
        assert "images" not in json.dumps(redis.hgetall(f"job:{job_id}"))
    assert anna.http.get(f"/api/jobs/{job_id}/workflow").content == sent
    assert anna.job(job_id)["executed"] == executed


def test_a_cancelled_job_can_be_queued_again_after_its_workflow_went_to_disk(
    anna: Person, workbench: Workbench
) -> None:
    job_id = anna.submit()
    sent = anna.http.get(f"/api/jobs/{job_id}/workflow").content
    anna.http.post(f"/api/jobs/{job_id}/cancel")
    with workbench.redis.client() as redis:
        wait_for(lambda: not redis.exists(f"workflow:{job_id}"), "the workflow to leave Redis")
    assert anna.http.post(f"/api/jobs/{job_id}/requeue").status_code == 200
    leased = workbench.lease(job_id=job_id)
    assert leased.workflow == json.loads(sent)
    leased.complete()


def test_a_crash_between_record_and_publishing_is_healed_by_the_first_reader(
    anna: Person, workbench: Workbench, tmp_path: Path
) -> None:
    job_id = workbench.run(anna, {"a.png": b"picture"})
    _back_to_staging(workbench, anna, job_id)
    assert anna.http.get(f"/api/jobs/{job_id}/outputs/output/a.png").content == b"picture"
    assert not (workbench.data / "staging" / job_id).exists()


def test_a_crash_between_record_and_publishing_is_healed_at_the_next_start(anna: Person, workbench: Workbench) -> None:
    job_id = workbench.run(anna, {"a.png": b"picture"})
    _back_to_staging(workbench, anna, job_id)
    stray = workbench.data / "staging" / "00000000-0000-4000-8000-000000000000" / "0" / "files"
    stray.mkdir(parents=True)
    workbench.queue.kill()
    workbench.queue.start()
    published = workbench.data / "outputs" / anna.name / job_id / "output" / "a.png"
    wait_for(published.exists, "the files to be published")
    wait_for(lambda: not stray.exists(), "files of nobody to be removed")
    assert published.read_bytes() == b"picture"


def _back_to_staging(workbench: Workbench, person: Person, job_id: str) -> None:
    """Put the disk into the state it has when the process dies right after the record was made."""
    (file,) = person.http.get(f"/api/jobs/{job_id}/outputs").json()["outputs"]
    winner = workbench.data / "staging" / job_id / "winner"
    winner.mkdir(parents=True)
    (workbench.data / "outputs" / person.name / job_id).rename(winner / "files")
    del file["url"]
    late = {**file, "filename": "uploaded after the record was made.png"}
    (winner / "manifest.jsonl").write_text(json.dumps(file) + "\n" + json.dumps(late) + "\n" + '{"cut sho')
    loser = workbench.data / "staging" / job_id / "loser" / "files" / "output"
    loser.mkdir(parents=True)
    (loser / "a.png").write_bytes(b"of another attempt")
    (loser.parents[1] / "manifest.jsonl").write_text(json.dumps({**file, "sha256": "0" * 64}) + "\n")
