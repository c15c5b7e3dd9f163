"""The short kill test with a fixed seed, and cancels at random moments; the long ones are `make chaos`."""

from pathlib import Path

import pytest

from tests.chaos.cancels import cancel_test
from tests.chaos.kill_test import kill_test
from tests.chaos.plan import SHORT


@pytest.mark.slow
@pytest.mark.timeout(1500)
async def test_each_job_has_one_end_and_one_set_of_files_whatever_is_killed(tmp_path: Path) -> None:
    outcome = await kill_test(tmp_path / "room", SHORT, print)
    assert outcome.ends.total() == SHORT.jobs
    assert outcome.ends["succeeded"] > 0
    assert outcome.forgotten == 0, "a job that had been taken in was not known any more"


@pytest.mark.slow
@pytest.mark.timeout(1500)
async def test_cancels_at_random_moments_hit_their_own_job_only(tmp_path: Path) -> None:
    outcome = await cancel_test(tmp_path / "room", SHORT, print)
    assert outcome.ends["cancelled"] > 0
