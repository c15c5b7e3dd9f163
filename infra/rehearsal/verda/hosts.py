"""The machine behind a rented instance: a container, or, where none are wanted, a very small SSH server.

The small one lets in the instance's keys, answers `comfyume-backup` (and writes down that it was asked), and says yes
to every other command. That is enough to try the rules about host keys and backups without a container.
"""

import asyncio
import json
from pathlib import Path

import asyncssh

from infra.rehearsal import machines
from infra.rehearsal.verda.store import Store, now, short_id

BACKUP = "comfyume-backup create "
HOST_KEY = "ssh_host_ed25519_key"
PORT = "port"
IMAGE_BYTES = 4 * 1024**3


class Hosts:
    """Starts and ends what answers at an instance's address."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._servers: dict[str, asyncssh.SSHAcceptor] = {}

    async def start(self, name: str, authorized_keys: list[str], user_data: str) -> str:
        """Bring a machine up, or bring it back; its address, with a port where it is not 22."""
        if machines.real_machines():
            machine = await asyncio.to_thread(
                machines.create_machine,
                self._store.cloud.folder,
                name,
                authorized_keys=authorized_keys,
                user_data=user_data,
            )
            return machine.address
        folder = self._store.cloud.folder / "machines" / name
        folder.mkdir(parents=True, exist_ok=True)
        server = await asyncssh.create_server(
            asyncssh.SSHServer,
            "127.0.0.1",
            self._former_port(folder),
            server_host_keys=[self._host_key(folder)],
            authorized_client_keys=asyncssh.import_authorized_keys("\n".join(authorized_keys)),
            process_factory=lambda process: self._answer(name, folder, process),
        )
        (folder / PORT).write_text(str(server.get_port()))
        self._servers[name] = server
        return f"127.0.0.1:{server.get_port()}"

    def restart(self, name: str) -> None:
        """Reboot a container; the small server has nothing to lose."""
        machine = machines.find_by_name(self._store.cloud.folder, name)
        if machine is not None:
            machines.restart_machine(machine)

    async def end(self, name: str) -> None:
        """What lay on the machine's own disk goes with it."""
        server = self._servers.pop(name, None)
        if server is not None:
            server.close()
            await server.wait_closed()
            for left in (HOST_KEY, PORT):
                (self._store.cloud.folder / "machines" / name / left).unlink(missing_ok=True)
        if machines.find_by_name(self._store.cloud.folder, name) is not None:
            await asyncio.to_thread(machines.remove_machine, self._store.cloud.folder, name)

    def attach(self, name: str, volume_id: str, target: str) -> None:
        """Give a machine a blank disk, or one with what was written on it before."""
        machine = machines.find_by_name(self._store.cloud.folder, name)
        if machine is None or not machine.container:
            return
        image = self._store.cloud.folder / "volumes" / f"{volume_id}.img"
        image.parent.mkdir(exist_ok=True)
        if not image.exists():
            with image.open("wb") as file:
                file.truncate(IMAGE_BYTES)
        machines.attach_device(machine, f"/dev/{target}", image)

    def detach(self, name: str, target: str) -> None:
        machine = machines.find_by_name(self._store.cloud.folder, name)
        if machine is not None:
            machines.detach_device(machine, f"/dev/{target}")

    def share(self, pseudo_path: str, names: list[str]) -> None:
        """Export a shared file system to exactly these machines."""
        machines.share_folder(self._store.cloud.folder, pseudo_path, names)

    # -- the small SSH server -----------------------------------------------------------------------------------------

    def _answer(self, name: str, folder: Path, process: "asyncssh.SSHServerProcess[str]") -> None:
        command = process.command or ""
        if not command.startswith(BACKUP):
            process.exit(0)
            return
        fault = self._store.cloud.fault("backup", name)
        self._store.cloud.note_call("backup", name, "", fault.error if fault else "")
        if fault is None:
            snapshot = f"{name}-{short_id()}"
            with (folder.parent / f"{name}.backups.jsonl").open("a") as lines:
                lines.write(json.dumps({"at": now(), "snapshot": snapshot}) + "\n")
            process.stdout.write(json.dumps({"snapshot": snapshot, "verified": True}) + "\n")
            process.exit(0)
        elif fault.error == "unverified":
            process.stdout.write(json.dumps({"snapshot": f"{name}-{short_id()}", "verified": False}) + "\n")
            process.exit(0)
        else:
            process.exit(127 if fault.error == "missing" else 1)

    @staticmethod
    def _host_key(folder: Path) -> asyncssh.SSHKey:
        path = folder / HOST_KEY
        if not path.exists():
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
        return asyncssh.read_private_key(path)

    @staticmethod
    def _former_port(folder: Path) -> int:
        """The port of a machine that was there before this process, 0 for a new one."""
        path = folder / PORT
        return int(path.read_text()) if path.exists() else 0
