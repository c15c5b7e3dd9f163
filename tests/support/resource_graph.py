"""What the program registers, without an engine: for the golden graphs and the policy tests.

    python -m tests.support.resource_graph staging          the registrations as JSON
    python -m tests.support.resource_graph --write          the golden graphs anew, tests/golden/resource_graph/*.txt

Each run is a process of its own, because Pulumi's runtime keeps what was registered in globals. Everything that a cloud
would make up is made up here: always the same, so that two runs tell the same story.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2

from infra.program import declare
from infra.settings import StackSettings
from tests.support.stack_settings import as_pulumi_hands_them_over, changed, secret_keys

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "resource_graph"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "staging": ("staging", {}),
    "prod": ("prod", {}),
    "staging-with-a-gpu-host": ("staging", {"gpu__count": 1, "gpu__scratch_gb": 100}),
}
"""Name of a golden graph -> stack file, and what differs from it."""

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdv"
OUTPUTS: dict[str, dict[str, Any]] = {
    "hcloud:index/primaryIp:PrimaryIp": {"ipAddress": "203.0.113.7"},
    "hcloud:index/volume:Volume": {"linuxDevice": "/dev/disk/by-id/scsi-0HC_Volume_1"},
    "random:index/randomPassword:RandomPassword": {"result": "R" * 43, "bcryptHash": "$2a$10$made.up"},
    "cloudflare:index/accountToken:AccountToken": {"value": "made up"},
    "command:remote:Command": {"stdout": "done\n100.64.0.1\n", "stderr": ""},
    "pulumi-python:dynamic/remote:HostKey": {"host_key": HOST_KEY},
    "pulumi-python:dynamic/verda:Instance": {"ip": "203.0.113.8", "host_key": HOST_KEY, "status": "running"},
    "pulumi-python:dynamic/verda:InstanceReady": {"ip": "203.0.113.8", "host_key": HOST_KEY},
    "pulumi-python:dynamic/verda:VolumeShare": {"mount_command": "mount -t nfs nfs.example.org:/share /mnt/sfs"},
    "pulumi-python:dynamic/verda:ScratchAttachment": {"target": "vdb"},
    "docker:index/remoteImage:RemoteImage": {"repoDigest": "made.up/image@sha256:0"},
}
GROUPS = ("Workers R2 Storage Bucket Item Read", "Workers R2 Storage Bucket Item Write")


class MadeUpCloud(mocks.Mocks):
    """Gives each resource its inputs back, with what only a cloud knows."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return str(len(args.name) + 1000), {**args.inputs, **OUTPUTS.get(args.typ, {})}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {"results": [{"id": f"{number}", "name": name} for number, name in enumerate(GROUPS)]}, []


class Register(mocks.MockMonitor):
    """A monitor that remembers what was asked for, options included."""

    def __init__(self) -> None:
        super().__init__(MadeUpCloud())
        self.registered: list[dict[str, Any]] = []

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802 - gRPC's name
        answer: resource_pb2.RegisterResourceResponse = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                {
                    "urn": answer.urn,
                    "type": request.type,
                    "name": request.name,
                    "parent": request.parent.split("::")[-1],
                    "inputs": _plain(rpc.deserialize_properties(request.object)),
                    "protect": request.protect,
                    "retain_on_delete": request.retainOnDelete,
                    "deleted_with": request.deletedWith.split("::")[-1],
                    "replace_with": [urn.split("::")[-1] for urn in request.replace_with],
                    "replace_on_changes": list(request.replaceOnChanges),
                    "depends_on": sorted({urn.split("::")[-1] for urn in request.dependencies}),
                    "provider": request.provider.split("::")[-2] if request.provider else "",
                }
            )
        return answer


def _plain(value: Any) -> Any:
    """Without Pulumi's wrappers; what is secret is said to be."""
    if rpc.is_rpc_secret(value):
        return {"secret": _plain(rpc.unwrap_rpc_secret(value))}
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def registrations(variant: str) -> list[dict[str, Any]]:
    """Everything that one stack registers. Once per process."""
    stack, changes = VARIANTS[variant]
    settings = StackSettings.parse(as_pulumi_hands_them_over(changed(stack, **changes)), secret_keys())
    monitor = Register()
    mocks.set_mocks(monitor.mocks, project="comfyume", stack=stack, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> Any:
        return declare(settings, stack)

    run()
    return sorted(monitor.registered, key=lambda entry: (str(entry["type"]), str(entry["name"])))


def drawn(entries: list[dict[str, Any]]) -> str:
    """The graph for a reviewer: a line a resource, what guards it, what it waits for."""
    lines = []
    for entry in entries:
        guards = [word for word in ("protect", "retain_on_delete") if entry[word]]
        tied = [f"with {entry['deleted_with']}"] if entry["deleted_with"] else []
        lines.append(f"{entry['type']} {entry['name']}" + "".join(f" [{word}]" for word in (*guards, *tied)))
        lines += [f"    after {name}" for name in entry["depends_on"] if not name.startswith("app-host-image")]
    return "\n".join(lines) + "\n"


def main(words: list[str]) -> None:
    """See the module."""
    if words == ["--write"]:
        GOLDEN.mkdir(exist_ok=True)
        for variant in VARIANTS:
            done = subprocess.run(
                [sys.executable, "-m", "tests.support.resource_graph", variant],
                check=True,
                capture_output=True,
                cwd=REPOSITORY,
            )
            (GOLDEN / f"{variant}.txt").write_text(drawn(json.loads(done.stdout)))
        return
    json.dump(registrations(words[0]), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
