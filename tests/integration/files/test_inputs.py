"""Uploads of a participant: by name, by content, whole or not at all."""

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.queue_process import token_of
from tests.support.wait import wait_for
from tests.support.workbench import Person, Workbench

pytestmark = pytest.mark.slow

PICTURE = b"not really a picture " * 1000


def _files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_upload_comes_back_byte_for_byte_with_its_digest_as_etag(anna: Person) -> None:
    answer = anna.http.put("/api/inputs/portraits/anna 1.png", content=PICTURE)
    digest = hashlib.sha256(PICTURE).hexdigest()
    assert answer.status_code == 201
    assert answer.json() == {"name": "portraits/anna 1.png", "sha256": digest, "size": len(PICTURE)}
    got = anna.http.get("/api/inputs/portraits/anna 1.png")
    assert got.content == PICTURE
    assert got.headers["etag"] == f'"{digest}"'
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert anna.http.get("/api/inputs").json()["inputs"] == [answer.json()]


def test_a_range_is_answered_with_exactly_those_bytes(anna: Person) -> None:
    anna.http.put("/api/inputs/a.bin", content=PICTURE)
    for wanted, expected in (
        ("bytes=10-19", PICTURE[10:20]),
        ("bytes=-5", PICTURE[-5:]),
        ("bytes=20990-", PICTURE[20990:]),
    ):
        got = anna.http.get("/api/inputs/a.bin", headers={"Range": wanted})
        assert (got.status_code, got.content) == (206, expected)
        assert got.headers["content-length"] == str(len(expected))
    assert got.headers["content-range"] == f"bytes 20990-20999/{len(PICTURE)}"


def test_a_range_behind_the_end_is_refused_with_the_size(anna: Person) -> None:
    anna.http.put("/api/inputs/a.bin", content=b"12345")
    got = anna.http.get("/api/inputs/a.bin", headers={"Range": "bytes=5-"})
    assert got.status_code == 416
    assert got.headers["content-range"] == "bytes */5"
    assert "5 bytes" in got.json()["detail"]


@pytest.mark.parametrize("wanted", ["bytes=3-1", "bytes=", "lines=1-2", "bytes=0-1,3-4", "bytes=x-", "bytes=-"])
def test_a_range_that_makes_no_sense_is_answered_with_the_whole_file(anna: Person, wanted: str) -> None:
    anna.http.put("/api/inputs/a.bin", content=b"12345")
    got = anna.http.get("/api/inputs/a.bin", headers={"Range": wanted})
    assert (got.status_code, got.content) == (200, b"12345")


def test_conditional_requests_spare_the_transfer(anna: Person) -> None:
    etag = f'"{anna.http.put("/api/inputs/a.bin", content=b"12345").json()["sha256"]}"'
    assert anna.http.get("/api/inputs/a.bin", headers={"If-None-Match": etag}).status_code == 304
    assert anna.http.get("/api/inputs/a.bin", headers={"If-None-Match": '"other"'}).status_code == 200
    same = anna.http.get("/api/inputs/a.bin", headers={"Range": "bytes=1-2", "If-Range": etag})
    assert (same.status_code, same.content) == (206, b"23")
    other = anna.http.get("/api/inputs/a.bin", headers={"Range": "bytes=1-2", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, b"12345")
    head = anna.http.head("/api/inputs/a.bin")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5")


@pytest.mark.parametrize(
    "name",
    ["..%2Fx", "a%2F..%2F..%2Fx", "%2Fetc%2Fpasswd", "a%5Cb", "a%00b", "a%09b", "a%2F.", "a%2F%2Fb", "C%3A", "x" * 300],
)
def test_a_path_like_name_is_refused_with_a_sentence_and_leaves_nothing(
    anna: Person, workbench: Workbench, name: str
) -> None:
    places = (workbench.data / "inputs", workbench.data / "incoming")
    before = {file for place in places for file in _files_below(place)}
    answer = anna.http.put(f"/api/inputs/{name}", content=b"x")
    assert answer.status_code == 422, answer.text
    assert "name" in answer.json()["detail"]
    assert str(workbench.data) not in answer.text
    assert {file for place in places for file in _files_below(place)} <= before


def test_nobody_sees_or_changes_the_uploads_of_somebody_else(new_person: Callable[[], Person]) -> None:
    anna, bert = new_person(), new_person()
    anna.http.put("/api/inputs/a.png", content=b"of anna")
    assert bert.http.get("/api/inputs").json() == {"inputs": []}
    assert bert.http.get("/api/inputs/a.png").status_code == 404
    assert bert.http.delete("/api/inputs/a.png").status_code == 404
    bert.http.put("/api/inputs/a.png", content=b"of bert")
    assert anna.http.get("/api/inputs/a.png").content == b"of anna"


def test_deleting_an_upload_removes_its_content_unless_another_name_needs_it(
    anna: Person, workbench: Workbench
) -> None:
    for name in ("one.bin", "two.bin"):
        anna.http.put(f"/api/inputs/{name}", content=b"the same")
    content = workbench.data / "inputs" / anna.name / hashlib.sha256(b"the same").hexdigest()
    assert anna.http.delete("/api/inputs/one.bin").status_code == 204
    assert content.read_bytes() == b"the same"
    assert anna.http.delete("/api/inputs/two.bin").status_code == 204
    assert not content.exists()
    assert anna.http.get("/api/inputs/two.bin").status_code == 404


def test_a_waiting_job_keeps_the_content_it_was_submitted_with(anna: Person, workbench: Workbench) -> None:
    anna.http.put("/api/inputs/a.png", content=b"first")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png [input]"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    job_id = anna.submit(graph)
    anna.http.put("/api/inputs/a.png", content=b"second")
    anna.http.delete("/api/inputs/a.png")
    leased = workbench.lease(job_id=job_id)
    (wanted,) = leased.lease["inputs"]
    assert wanted == {"name": "a.png [input]", "sha256": hashlib.sha256(b"first").hexdigest(), "size": 5}
    path = f"{leased.path}/inputs/{wanted['sha256']}"
    assert leased.http.get(path, headers=leased.headers).content == b"first"
    assert leased.http.get(path, headers={"X-Lease-Token": "wrong"}).json()["error"] == "lease_lost"
    assert leased.http.get(f"{leased.path}/inputs/{'0' * 64}", headers=leased.headers).status_code == 404
    leased.complete()


def test_an_upload_that_breaks_off_leaves_nothing_behind(anna: Person, workbench: Workbench) -> None:
    incoming = workbench.data / "inputs" / ".incoming"
    with socket.create_connection(("127.0.0.1", workbench.queue.port)) as line:
        head = f"PUT /api/inputs/broken.bin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of(anna.name)}\r\n"
        line.sendall(f"{head}Content-Length: 50000000\r\n\r\n".encode() + b"x" * 3_000_000)
        wait_for(lambda: _files_below(incoming), "the upload to begin")
    wait_for(lambda: not _files_below(incoming), "the rest of the upload to be removed")
    assert anna.http.get("/api/inputs").json() == {"inputs": []}
    assert not (workbench.data / "inputs" / anna.name).exists()


def test_a_symbolic_link_in_the_data_folder_is_not_followed(anna: Person, workbench: Workbench, tmp_path: Path) -> None:
    digest = anna.http.put("/api/inputs/a.bin", content=b"12345").json()["sha256"]
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    content = workbench.data / "inputs" / anna.name / digest
    content.unlink()
    content.symlink_to(secret)
    answer = anna.http.get("/api/inputs/a.bin")
    assert answer.status_code == 404
    assert "secret" not in answer.text
