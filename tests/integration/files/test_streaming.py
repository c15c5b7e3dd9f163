"""Files of film size pass through in constant memory."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.queue_process import bearer
from tests.support.workbench import Person, Workbench

GIGABYTES = 2
BLOCK = b"\x00film" * 209_715 + b"\x00"
"""1 MiB."""
PATIENCE = 600
"""Seconds that a slow machine may take for one direction."""


def _high_water_kib(pid: int) -> int:
    """The most resident memory that the process had since the mark was reset, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def _connect(workbench: Workbench) -> http.client.HTTPConnection:
    """A client that costs next to nothing, so that the test's time is the queue manager's."""
    return http.client.HTTPConnection("127.0.0.1", workbench.queue.port, timeout=PATIENCE, blocksize=1 << 20)


@pytest.mark.slow
@pytest.mark.timeout(4 * PATIENCE)
def test_a_film_of_2_gigabytes_goes_up_and_comes_down_with_less_than_100_mb_more_memory(
    anna: Person, workbench: Workbench
) -> None:
    def film() -> Iterator[bytes]:
        for _ in range(GIGABYTES * 1024):
            yield BLOCK

    size = GIGABYTES * 1024 * len(BLOCK)
    job_id = anna.submit()
    leased = workbench.lease(job_id=job_id)
    Path(f"/proc/{workbench.queue.pid}/clear_refs").write_text("5")  # the high-water mark begins anew
    before = _high_water_kib(workbench.queue.pid)

    line = _connect(workbench)
    place = "node_id=2&kind=images&type=output&filename=film.mp4"
    headers = bearer("gpu-1") | leased.headers | {"Content-Length": str(size)}
    line.request("PUT", f"{leased.path}/outputs?{place}", film(), headers)
    assert line.getresponse().status == 201
    line.close()
    assert leased.complete().json() == {"state": "succeeded"}
    assert anna.http.get(f"/api/jobs/{job_id}/outputs").json()["outputs"][0]["size"] == size

    line = _connect(workbench)
    line.request("GET", f"/api/jobs/{job_id}/outputs/output/film.mp4", headers=bearer(anna.name))
    answer, buffer, received = line.getresponse(), bytearray(1 << 20), 0
    while got := answer.readinto(buffer):
        received += got
    line.close()
    assert received == size
    grown = _high_water_kib(workbench.queue.pid) - before
    assert grown < 100_000, f"{grown} KiB more"
    anna.http.delete(f"/api/jobs/{job_id}")
