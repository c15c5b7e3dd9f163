"""One person's sign-in and credential on the app host, in one resource: adding her touches nobody else."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command
import pulumi_random as random

from infra.components.host_files import HostFile, HostFolder, host_files
from infra.components.machine import Machine
from infra.components.queue_manager import credential_file, new_token
from services.domain.names import Role

ACCOUNTS = "/etc/comfyume/auth/accounts"
PEOPLE = "/etc/comfyume/people"
"""Where the operator finds what a person is given: readable by root alone (`make passwords`)."""


@dataclass(frozen=True, kw_only=True)
class PersonArgs:
    """`rekeyed` counts the new passwords; `files` are further ones that live and die with the person."""

    name: str
    role: Role
    rekeyed: int
    machine: Machine
    folders: Sequence[HostFolder] = ()
    token_file: str | None = None
    after: list[pulumi.Resource]


def person_on_host(args: PersonArgs, parent: pulumi.Resource) -> command.remote.Command:
    """Password, account and credential of one person; removing the resource removes all three, never her work."""
    password = random.RandomPassword(
        f"password-{args.name}",
        length=20,
        special=False,
        keepers={"rekeyed": str(args.rekeyed)},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    token = new_token(f"token-{args.name}", parent)
    # A session repeats the epoch it began in: another hash, another epoch, and only this person's sessions end.
    account = pulumi.Output.json_dumps(
        {
            "name": args.name,
            "role": args.role.value,
            "password_hash": password.bcrypt_hash,
            "epoch": password.bcrypt_hash.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16]),
        }
    )
    folder = f"{PEOPLE}/{args.name}"
    files = [
        HostFile(path=f"{ACCOUNTS}/{args.name}.json", content=account),
        credential_file(args.role, args.name, token),
        HostFile(path=f"{folder}/password", content=password.result, owner="root:root"),
        HostFile(path=f"{folder}/token", content=token, owner="root:root"),
    ]
    if args.token_file:
        files.append(HostFile(path=args.token_file, content=token))
    return host_files(
        f"person-{args.name}",
        args.machine,
        files,
        parent,
        folders=[HostFolder(path=folder, mode="0700"), *args.folders],
        after=args.after,
    )
