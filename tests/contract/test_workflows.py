"""The GitHub workflows: accepted by their linter, pinned, without Pulumi Cloud, one operation on a stack at a time."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support import actionlint

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github").rglob("*.yaml"))


def workflow(name: str) -> dict[str, Any]:
    """One workflow as GitHub reads it."""
    parsed: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github" / "workflows" / f"{name}.yaml")
    return parsed


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_actionlint_finds_nothing() -> None:
    try:
        linter = actionlint.ensure()
    except actionlint.LinterMissing as missing:
        pytest.skip(str(missing))
    found = subprocess.run(
        [linter, "-no-color", "-oneline", "-shellcheck=", "-pyflakes="],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_every_action_of_others_is_pinned_to_a_commit_with_its_version() -> None:
    used = [
        line.strip(" -") for file in FILES for line in file.read_text(encoding="utf-8").splitlines() if "uses:" in line
    ]
    foreign = [line for line in used if "uses: ./" not in line]
    assert foreign
    assert [line for line in foreign if not re.fullmatch(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_the_tests_run_what_everybody_runs() -> None:
    (job,) = workflow("tests")["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}


def test_a_pull_request_is_previewed_for_both_stacks_and_commented() -> None:
    job = workflow("preview")["jobs"]["preview"]
    assert job["strategy"]["matrix"]["stack"] == ["staging", "prod"]
    assert "pull_request.head.repo.full_name == github.repository" in job["if"]
    assert any("REPORT=preview.md" in step.get("run", "") for step in job["steps"])
    assert job["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_staging_follows_the_tests_and_prod_follows_staging_in_an_environment_of_its_own() -> None:
    jobs = workflow("deploy")["jobs"]
    assert (jobs["staging"]["needs"], jobs["staging"]["environment"]) == ("tests", "staging")
    assert (jobs["prod"]["needs"], jobs["prod"]["environment"]) == ("staging", "prod")


@pytest.mark.parametrize("name", ["preview", "deploy"])
def test_operations_on_one_stack_wait_for_each_other_and_need_no_pulumi_cloud(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        if "uses" in job:
            continue
        assert job["concurrency"]["group"].startswith("stack-")
        assert job["concurrency"]["cancel-in-progress"] is False
        assert job["env"]["PULUMI_BACKEND_URL"] == "${{ vars.PULUMI_BACKEND_URL }}"
        assert "PULUMI_ACCESS_TOKEN" not in str(job)
