"""Preparing the machine: what is there is left alone, what is missing is installed or asked for in one sentence.

The script runs for real; only the commands that would change this machine (apt-get, sudo) are small recorders.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "services" / "local" / "ensure_machine.sh"
TOOLS = ("bash", "env", "timeout", "sleep", "mkdir", "rm", "touch", "basename", "chmod")


class Machine:
    """A PATH of our own: a few tools, and what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.log.touch()
        for tool in TOOLS:
            (folder / tool).symlink_to(str(shutil.which(tool)))
        self.command("id", 'echo "${FAKE_UID:-0}"')

    def command(self, name: str, body: str) -> None:
        """Put a command on the PATH."""
        path = self.folder / name
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def apt_that_brings(self, command: str) -> None:
        """An apt-get that writes down its arguments, and installs `command` when asked to install."""
        made = f"printf '#!/bin/sh\\n' > {self.folder}/{command} && chmod 755 {self.folder}/{command}"
        self.command("apt-get", f'echo "$@" >> {self.log}\ncase "$*" in *install*) {made} ;; esac')

    def ensure(self, *arguments: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [str(shutil.which("bash")), str(SCRIPT), *arguments],
            env={"PATH": str(self.folder), "FAKE_UID": str(user), "HOME": os.environ.get("HOME", "/")},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PACKAGE = ("package", "frobnicator", "frobnicator-server", "nothing frobs without it")


def test_a_command_that_is_there_is_left_alone_and_nothing_is_said(machine: Machine) -> None:
    machine.apt_that_brings("frobnicator")
    machine.command("frobnicator", "true")
    done = machine.ensure(*PACKAGE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.log.read_text(encoding="utf-8") == ""


def test_a_missing_package_is_installed_with_a_sentence_on_what_and_why(machine: Machine) -> None:
    machine.apt_that_brings("frobnicator")
    done = machine.ensure(*PACKAGE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "Installing the Debian package frobnicator-server: nothing frobs without it.\n"
    assert "install -y" in machine.log.read_text(encoding="utf-8").splitlines()[-1]


def test_without_root_sudo_is_used(machine: Machine) -> None:
    machine.apt_that_brings("frobnicator")
    machine.command("sudo", f'echo "sudo $*" >> {machine.log}\nshift\nexec "$@"')
    assert machine.ensure(*PACKAGE, user=1000).returncode == 0
    assert machine.log.read_text(encoding="utf-8").startswith("sudo -- env ")


def test_without_root_and_sudo_it_says_what_root_should_do(machine: Machine) -> None:
    machine.apt_that_brings("frobnicator")
    done = machine.ensure(*PACKAGE, user=1000)
    assert done.returncode == 1
    assert "apt-get install frobnicator-server" in done.stderr
    assert machine.log.read_text(encoding="utf-8") == ""


def test_on_a_mac_it_names_brew(machine: Machine) -> None:
    machine.command("brew", "true")
    done = machine.ensure(*PACKAGE)
    assert (done.returncode, "brew install" in done.stderr) == (1, True)


def test_elsewhere_it_names_the_package(machine: Machine) -> None:
    done = machine.ensure(*PACKAGE)
    assert (done.returncode, "frobnicator-server is missing" in done.stderr) == (1, True)


def test_a_python_that_is_too_old_is_refused_with_the_way_out(machine: Machine, tmp_path: Path) -> None:
    machine.command("python3", "exit 1")
    done = machine.ensure("environment", str(tmp_path / "venv"), "requirements/cli.txt")
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_wrong_arguments_are_answered_with_the_usage(machine: Machine) -> None:
    done = machine.ensure()
    assert (done.returncode, "usage:" in done.stderr) == (1, True)
