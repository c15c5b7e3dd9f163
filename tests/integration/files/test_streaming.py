"""Files of film size pass through in constant memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.workbench import Person, Workbench

pytestmark = pytest.mark.slow

GIGABYTES = 2
BLOCK = b"\x00film" * 209_715 + b"\x00"
"""1 MiB."""


def _high_water_kib(pid: int) -> int:
    """The most resident memory that the process had since the mark was reset, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


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
    answer = leased.upload("film.mp4", film(), **{"Content-Length": str(size)})
    assert (answer.status_code, answer.json()["size"]) == (201, size)
    assert leased.complete().json() == {"state": "succeeded"}
    received = 0
    with anna.http.stream("GET", f"/api/jobs/{job_id}/outputs/output/film.mp4", timeout=300) as stream:
        for part in stream.iter_raw(1 << 20):
            received += len(part)
    assert received == size
    grown = _high_water_kib(workbench.queue.pid) - before
    assert grown < 100_000, f"{grown} KiB more"
    anna.http.delete(f"/api/jobs/{job_id}")
