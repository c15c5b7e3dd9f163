"""Files and folders that the stack puts on a machine, and the bootstrap steps that it runs there.

Contents travel over standard input, so that a secret is in no argument, no log and no error.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from infra.components.machine import Machine
from infra.components.service_container import USER
from infra.remote.shell import checked_path, script
from infra.remote.steps import Step


@dataclass(frozen=True, kw_only=True)
class HostFile:
    """One file; secret unless `mode` says otherwise: only the containers' user may read it."""

    path: str
    content: pulumi.Input[str]
    mode: str = "0400"
    owner: str = USER


@dataclass(frozen=True, kw_only=True)
class HostFolder:
    """One folder, made if it is missing; what is in it is never removed."""

    path: str
    mode: str = "0755"
    owner: str = "root:root"


def command_on(
    machine: Machine, name: str, create: pulumi.Input[str], parent: pulumi.Resource, *,
    stdin: pulumi.Input[str] | None = None, delete: str | None = None,
    after: list[pulumi.Resource] | None = None, further: pulumi.ResourceOptions | None = None,
) -> command.remote.Command:  # fmt: skip
    """Run shell text on a machine; every command of the stack is made here.

    The way in may change, for example with a new key; that is no reason to do the same thing again.
    """
    options = pulumi.ResourceOptions.merge(
        machine.options(parent, after=after), pulumi.ResourceOptions(ignore_changes=["connection"])
    )
    return command.remote.Command(
        name,
        connection=machine.connection,
        create=create,
        delete=delete,
        stdin=stdin,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(options, further),
    )


def host_files(
    name: str, machine: Machine, files: Sequence[HostFile], parent: pulumi.Resource, *,
    folders: Sequence[HostFolder] = (), after: list[pulumi.Resource] | None = None, then: str = "",
) -> command.remote.Command:  # fmt: skip
    """Put files in place, atomically, and only where they differ; `then` is shell text that runs after them."""
    lines = [_line(file) for file in files]
    return command_on(
        machine,
        name,
        script(name, _make(folders) + _UNPACK + then, reads_stdin=True),
        parent,
        stdin=_secret(lines),
        delete=script(name, "".join(f"rm -f -- {checked_path(file.path)}\n" for file in files)) if files else None,
        after=after,
        further=pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"]),
    )


def run_steps(
    machine: Machine, steps: Sequence[Step], secrets: Mapping[str, pulumi.Input[str]], parent: pulumi.Resource,
    *, after: list[pulumi.Resource] | None = None, shells: pulumi.Output[dict[str, str]] | None = None,
) -> dict[str, command.remote.Command]:  # fmt: skip
    """Run a machine's bootstrap steps one after the other; a changed text runs that step again.

    `shells` gives the texts by name where they need what only the cloud knows (a device, a mount's source); then
    `steps` were made with stand-ins for those and give names, order and secrets. Gives the commands by name.
    """
    done: dict[str, command.remote.Command] = {}
    waited_for = after or []
    for step in steps:
        done[step.name] = command_on(
            machine,
            f"{machine.name}-{step.name}",
            shells[step.name] if shells is not None else step.shell,
            parent,
            stdin=secrets[step.stdin_secret] if step.stdin_secret else None,
            after=waited_for,
        )
        waited_for = [done[step.name]]
    return done


def last_line(done: command.remote.Command) -> pulumi.Output[str]:
    """What a step printed last. No secret, although the step may have read one: its text decides what it prints."""
    printed: pulumi.Output[str] = done.stdout.apply(lambda text: text.strip().splitlines()[-1])
    return pulumi.Output.unsecret(printed)


_UNPACK = """
staging=$(mktemp /run/comfyume-XXXXXX)
trap 'rm -f -- "$staging" ${temporary:+"$temporary"}' EXIT
while read -r path mode owner content; do
  printf %s "$content" | base64 -d > "$staging"
  put_file "$path" "$mode" "$owner" < "$staging"
done
"""


def _secret(lines: Sequence[pulumi.Output[str]]) -> pulumi.Output[str]:
    text: pulumi.Output[str] = pulumi.Output.concat(*lines)
    return pulumi.Output.secret(text)


def _make(folders: Sequence[HostFolder]) -> str:
    return "".join(
        f"install -d -m {folder.mode} -o {folder.owner.split(':')[0]} -g {folder.owner.split(':')[1]} -- "
        f"{checked_path(folder.path)}\n"
        for folder in folders
    )


def _line(file: HostFile) -> pulumi.Output[str]:
    checked_path(file.path)
    encoded = pulumi.Output.from_input(file.content).apply(lambda text: base64.b64encode(text.encode()).decode())
    return pulumi.Output.concat(f"{file.path} {file.mode} {file.owner} ", encoded, "\n")
