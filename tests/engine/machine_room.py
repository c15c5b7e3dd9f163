"""Rehearsed machines for tests: in a cloud of their own, with a key that gets in; gone with everything afterwards."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.rehearsal import machines, made_up
from infra.rehearsal.machines import Machine
from infra.rehearsal.providers.cloud import Cloud
from infra.remote import ssh

SECONDS = 120.0


@dataclass
class MachineRoom:
    """A cloud with machines in it; `name` makes names that no other rehearsal on this engine uses."""

    cloud: Cloud
    keys: made_up.SshKeys = field(default_factory=made_up.ssh_keys)

    def name(self, role: str) -> str:
        """The cloud's folder is unique, so its name makes others unique."""
        return f"test-{abs(hash(str(self.cloud.folder))) % 16**6:06x}-{role}"

    def machine(self, role: str = "host") -> Machine:
        """The machine of that role; started where there is none."""
        public = [self.keys.public]
        return machines.create_machine(self.cloud.folder, self.name(role), authorized_keys=public)

    def shell(self, machine: Machine, command: str, *, stdin: str = "") -> subprocess.CompletedProcess[bytes]:
        """A command over SSH, whatever its status."""
        return ssh.run(
            machine.address, command, private_key=self.keys.private.value, host_key=host_key(machine.address),
            stdin=stdin.encode(), timeout=SECONDS,
        )  # fmt: skip

    def output(self, machine: Machine, command: str) -> str:
        """What a command prints; it has to succeed."""
        done = self.shell(machine, command)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout.decode().strip()


def host_key(address: str) -> str:
    """The host key that sshd shows."""
    done = subprocess.run(
        ["ssh-keyscan", "-T", "60", "-t", "ed25519", address], capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.split(" ", 1)[1].strip()


@contextmanager
def machine_room(folder: Path) -> Iterator[MachineRoom]:
    """Everything that was made in it is removed at the end, whatever happened."""
    cloud = Cloud(folder)
    try:
        yield MachineRoom(cloud)
    finally:
        machines.remove_machines(cloud.folder)
        shutil.rmtree(folder, ignore_errors=True)
