"""`HostKey`: the SSH host key of a machine, trusted on first use and pinned from then on.

A cloud tells an address, not a host key. The first contact therefore believes what it hears, once; everything later
(commands, the Docker provider, backups) is checked against what stands in the state. A machine that was replaced has
another `identity`, and only that makes the key be learned anew. The state names this module and `HostKeyProvider`:
both names stay as they are.
"""

import subprocess
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra.remote.ssh import ADDRESS, HOST_KEY

BOOT_SECONDS = 600.0
"""How long a machine may take from "created" to a listening sshd: a GPU host installs for minutes."""

KIND = "ed25519"


class HostKeyProvider(ResourceProvider):
    """Learns the key at create, keeps it over a change of address, forgets it with the machine."""

    serialize_as_secret_always = False  # a host key is public, and nothing else is stored

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait until the machine's sshd shows its key. Raises TimeoutError when it never does."""
        key = learn(str(props["address"]), int(props.get("port") or 22), float(props.get("deadline_s") or BOOT_SECONDS))
        return CreateResult(id_=str(props["identity"]), outs={**props, "host_key": key})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another identity is another machine; another address is the same machine with the same key."""
        replaces = ["identity"] if _olds.get("identity") != _news.get("identity") else []
        moved = any(_olds.get(name) != _news.get(name) for name in ("address", "port"))
        return DiffResult(changes=bool(replaces) or moved, replaces=replaces)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """The key of the same machine is not learned again: whoever took over its address would be believed."""
        return UpdateResult(outs={**_news, "host_key": _olds["host_key"]})


class HostKey(Resource, module="remote", name="HostKey"):
    """`host_key` is the type and key as in authorized_keys, such as `ssh-ed25519 AAAA...`."""

    host_key: pulumi.Output[str]

    def __init__(
        self, name: str, *, address: pulumi.Input[str], identity: pulumi.Input[str], port: int = 22,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:  # fmt: skip
        props = {"address": address, "identity": identity, "port": port, "host_key": None}
        super().__init__(HostKeyProvider(), name, props, opts)


def learn(address: str, port: int, deadline_s: float) -> str:
    """The machine's ed25519 host key, as soon as its sshd shows it.

    Raises TimeoutError after `deadline_s` seconds, ValueError for something that is no address.
    """
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address of a machine")
    attempts = Retrying(retry=retry_if_result(_is_none), stop=stop_after_delay(deadline_s), wait=wait_fixed(1))
    try:
        return attempts(shown_key, address, port) or ""
    except RetryError:
        raise TimeoutError(
            f"{address} showed no SSH host key within {deadline_s:.0f} s: is the machine up, and port {port} open?"
        ) from None


def _is_none(key: str | None) -> bool:
    return key is None


def shown_key(address: str, port: int) -> str | None:
    """The key that the machine shows right now, or None."""
    done = subprocess.run(
        ["ssh-keyscan", "-T", "5", "-p", str(port), "-t", KIND, "--", address],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        _, _, key = line.partition(" ")
        if HOST_KEY.fullmatch(key):
            return key
    return None
