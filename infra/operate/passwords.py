"""The people's passwords, read from the app host over SSH: on the operator's machine they are kept nowhere."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.operate.refusals import StackFailed
from infra.remote import ssh
from services.domain.errors import NotFound

HOST_KEY_NAME = "app-host-host-key"
SECONDS = 60
_READ = 'cd /etc/comfyume/people && for name in *; do printf \'%s %s\\n\' "$name" "$(cat -- "$name/password")"; done'
_LINE = re.compile(r"([a-z][a-z0-9-]*) ([A-Za-z0-9]+)")


@dataclass(frozen=True)
class AppHost:
    """Where it is, and the key by which it is recognised."""

    address: str
    host_key: str


def app_host(resources: Iterable[Mapping[str, Any]]) -> AppHost:
    """The app host as the stack's state knows it.

    Raises:
        NotFound: the stack has none yet.
    """
    for entry in resources:
        if str(entry["urn"]).endswith(f"::{HOST_KEY_NAME}"):
            known = entry.get("outputs") or {}
            port = int(known.get("port") or 22)
            address = str(known["address"]) if port == 22 else f"{known['address']}:{port}"
            return AppHost(address, str(known["host_key"]))
    raise NotFound("the stack has no app host yet; `make up` makes one.")


def read_passwords(host: AppHost, private_key: str) -> dict[str, str]:
    """Passwords by name.

    Raises:
        Unavailable: there is no SSH session with the host.
        StackFailed: the host does not have them.
    """
    address, _, port = host.address.partition(":")
    done = ssh.run(
        address, _READ, private_key=private_key, host_key=host.host_key, timeout=SECONDS, port=int(port or 22)
    )
    found = [_LINE.fullmatch(line) for line in done.stdout.decode(errors="replace").splitlines()]
    if done.returncode or not found or not all(found):
        raise StackFailed(f"{host.address} keeps no passwords under /etc/comfyume/people; `make up` puts them there.")
    return {line[1]: line[2] for line in found if line}
