"""What holds for the text of every step: POSIX, short enough, free of secrets, documented with its undo."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.remote.bootstrap import app_host_steps, gpu_host_steps
from infra.remote.shell import LONGEST_SCRIPT
from infra.remote.steps import Step
from tests.support.machine_steps import APP_HOST, GPU_HOST, all_steps

README = Path(__file__).parents[3] / "infra" / "README.md"
SECTION = "## Changes to a machine and their undo\n"
STEPS = all_steps()
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def documented() -> str:
    """The section of the README that lists the steps."""
    return README.read_text().partition(SECTION)[2].partition("\n## ")[0]


@every_step
def test_a_posix_shell_can_read_the_text(step: Step) -> None:
    done = subprocess.run(["sh", "-n"], input=step.shell, text=True, capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed on this machine")
@every_step
def test_shellcheck_finds_nothing(step: Step) -> None:
    # SC1091: os-release is not here. SC2034, SC2317: the common opening defines more than each step uses.
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC1091,SC2034,SC2317", "-"],
        input=step.shell, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


@every_step
def test_the_text_stops_at_the_first_error_and_fits_into_one_argument(step: Step) -> None:
    assert step.shell.startswith("set -eu\n")
    assert len(step.shell.encode()) < LONGEST_SCRIPT


@every_step
def test_only_a_step_that_is_given_something_reads_standard_input(step: Step) -> None:
    reads = "exec </dev/null" not in step.shell

    assert reads == (step.stdin_secret is not None or step.name == "file-FILE")


@every_step
def test_nothing_installs_the_distributions_docker_or_touches_a_service_called_sshd(step: Step) -> None:
    assert "docker.io" not in step.shell
    assert not re.search(r"systemctl[^\n]*\bsshd\b", step.shell)


@every_step
def test_the_change_and_its_undo_stand_in_the_readme(step: Step) -> None:
    row = next((line for line in documented().splitlines() if line.startswith(f"| `{step.name}` |")), None)

    assert row is not None, f"infra/README.md lists no step `{step.name}`"
    assert row.endswith(f"| {step.undo.replace('|', chr(92) + '|')} |"), f"its undo is: {step.undo}"


def test_the_readme_lists_no_step_that_is_gone() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", documented(), flags=re.MULTILINE)

    assert [name for name in listed if name not in STEPS] == []


def test_the_way_in_comes_before_the_disks_and_the_identity_before_the_tailnet() -> None:
    for steps, disk in ((app_host_steps(APP_HOST), "data-volume"), (gpu_host_steps(GPU_HOST), "shared-filesystem")):
        names = [step.name for step in steps]

        in_order = ["first-boot", "authorized-keys", "ssh-hardened", "firewall", disk, "docker", "directories"]
        in_order += ["restored", "tailnet", "schedules"]
        assert sorted(in_order, key=names.index) == in_order
        assert len(set(names)) == len(names)


def test_a_gpu_host_opens_nothing_to_the_public_but_ssh_and_tailscale() -> None:
    gpu = {step.name: step.shell for step in gpu_host_steps(GPU_HOST)}["firewall"]
    app = {step.name: step.shell for step in app_host_steps(APP_HOST)}["firewall"]

    assert re.findall(r"allow (\S+)'?$", gpu.split("command -v")[0], flags=re.MULTILINE) == ["22/tcp", "41641/udp'"]
    assert all(port in app for port in ("allow 80/tcp", "allow 443/tcp", "allow 21115:21119/tcp", "allow 21116/udp"))


def test_the_same_facts_give_the_same_texts() -> None:
    assert app_host_steps(APP_HOST) == app_host_steps(APP_HOST)
    assert gpu_host_steps(GPU_HOST) == gpu_host_steps(GPU_HOST)
