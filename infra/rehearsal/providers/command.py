"""Stands in for pulumi-command 1.2: commands really run, remote ones over real SSH with the host's key checked.

What the real provider does that surprises is done here, too: any change but that of `triggers` runs `update` or, where
there is none, `create` again; nothing is ever looked at in a refresh; a failure shows the command and all its output
(never what it read from stdin).

With COMFYUME_REHEARSAL_MACHINES=none nothing runs: commands are recorded and print nothing.
"""

from __future__ import annotations

import secrets
import zlib

from infra.rehearsal import machines
from infra.rehearsal.providers import server
from infra.rehearsal.providers.cloud import Record
from infra.rehearsal.providers.command_local import run_here
from infra.rehearsal.providers.command_remote import copy_to, run_there
from infra.rehearsal.providers.values import Existing, Properties, ProviderFailure, Request

_LOCAL = "command:local:Command"
_REMOTE = "command:remote:Command"
_COPY = "command:remote:CopyToRemote"
_SILENT = ("", "")


class StandIn(server.StandIn):
    """Commands on this machine and on others, and files copied there."""

    derived_outputs = frozenset({"stdout", "stderr"})

    def create(self, request: Request) -> Existing:
        """Run `create`."""
        outputs = self._act(request, request.inputs.get("create"))
        return self._noted(request, secrets.token_hex(16), outputs)

    def read(self, request: Request) -> Existing | None:
        """What the state holds: nobody looks whether the effect is still there."""
        return Existing(request.id, request.old_outputs, request.old_inputs)

    def update(self, request: Request) -> Properties:
        """Run `update`, or `create` once more."""
        outputs = self._act(request, request.inputs.get("update") or request.inputs.get("create"))
        return self._noted(request, request.id, outputs).outputs

    def preview_update(self, request: Request) -> Properties:
        """What the command prints is known when it ran."""
        return super().preview_update(request) | dict.fromkeys(self._printed(request), server.UNKNOWN)

    def delete(self, request: Request) -> None:
        """Run the `delete` that the state holds, over the connection that the state holds."""
        if command := request.inputs.get("delete"):
            self._run(request, command)
        super().delete(request)

    def _act(self, request: Request, command: str | None) -> Properties:
        if request.type == _COPY:
            if machines.real_machines():
                copy_to(request.inputs)
            return dict(request.inputs)
        stdout, stderr = self._run(request, command) if command else _SILENT
        return {**request.inputs, "stdout": stdout, "stderr": stderr}

    def _run(self, request: Request, command: str) -> tuple[str, str]:
        if not machines.real_machines():
            return self._imagined(request, command), ""
        if request.type == _REMOTE:
            return run_there(request.inputs, command, request.timeout)
        if request.type == _LOCAL:
            return run_here(request.inputs, command, request.old_outputs, request.timeout)
        raise ProviderFailure(f"the stand-in for command cannot run a {request.type} yet")

    def _imagined(self, request: Request, command: str) -> str:
        """What a command that is only recorded prints: nothing, but for the one whose answer programs read."""
        host = str((request.inputs.get("connection") or {}).get("host"))
        machine = machines.find_machine(self.cloud.folder, host)
        if "tailscale ip" not in command:
            return ""
        return machine.tailnet_address if machine else f"100.64.0.{zlib.crc32(host.encode()) % 254 + 1}"

    def _printed(self, request: Request) -> tuple[str, ...]:
        return () if request.type == _COPY else ("stdout", "stderr")

    def _noted(self, request: Request, id_: str, outputs: Properties) -> Existing:
        open_inputs = {key: value for key, value in request.inputs.items() if key not in request.secret_inputs}
        self.cloud.put(Record(self.name, request.type, id_, request.name, open_inputs, {}))
        return Existing(id_, outputs, request.inputs)
