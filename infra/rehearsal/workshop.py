"""This repository's own program, ready to be rehearsed: made-up secrets put in, a stand-in Verda beside the engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pydantic import SecretStr

from infra.key_file import private_key_file
from infra.rehearsal import imagined_ssh, made_up
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.locks import exclusive
from infra.rehearsal.verda import process as verda

PLAIN_TOKENS = (
    "hcloud_token", "cloudflare_api_token", "tailscale_auth_key", "verda_client_id", "verda_client_secret",
    "verda_inference_key",
)  # fmt: skip


def fill_in(rehearsal: Rehearsal, domain: str) -> made_up.SshKeys:
    """Every secret setting made up, and the certificate and operator's key that belong to them; gives that key."""
    keys, certificate = made_up.ssh_keys(), made_up.certificate(domain)
    for name in PLAIN_TOKENS:
        rehearsal.set_secret(f"comfyume:{name}", made_up.token())
    rehearsal.set_secret("comfyume:operator_private_key", keys.private)
    rehearsal.set_secret("comfyume:certificate_key", certificate.key)
    rehearsal.with_setting("comfyume:certificate", certificate.certificate)
    rehearsal.with_setting("comfyume:access.public_keys", [keys.public])
    return keys


@contextmanager
def rehearsed_workshop(folder: Path, stack: str = "staging", *, machines: bool = False) -> Iterator[Rehearsal]:
    """The workshop's program with a stack file of the repository, in `folder`; Verda's stand-in runs meanwhile."""
    rehearsal = Rehearsal(folder, stack=stack, machines=machines)
    keys = fill_in(rehearsal, f"{stack}.rehearsal.example.org")
    rehearsal.with_setting("comfyume:domain", f"{stack}.rehearsal.example.org")
    if not machines:
        imagined = imagined_ssh.install(rehearsal.folder / "imagined")
        rehearsal.environment["PATH"] = f"{imagined}:{os.environ.get('PATH', '')}"
    # Containers are named by stack: two real rehearsals of one stack would take each other's for their own.
    alone = exclusive(f"stack-{stack}") if machines else nullcontext()
    with alone, verda.running(rehearsal.cloud.folder, machines=machines) as address:
        rehearsal.environment["VERDA_BASE_URL"] = address
        try:
            yield rehearsal
        finally:
            made_up_key = private_key_file(stack, SecretStr(keys.private.value))
            Path(made_up_key).expanduser().unlink(missing_ok=True)
