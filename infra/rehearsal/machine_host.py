"""What rehearsed machines need of this machine: a network with addresses, folders that share mounts, loop devices.

All of it needs root, and all of it is given back when a machine is removed. The containers themselves are started in
`machine_container.py`.
"""

import ipaddress
import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from infra.rehearsal.locks import exclusive
from infra.rehearsal.providers.values import ProviderFailure

NETWORK = "comfyume-rehearsal"
SUBNETS = tuple(f"10.{second}.0.0/16" for second in range(231, 247))
INVENTED = ipaddress.ip_network("198.18.0.0/15")
"""Addresses set aside for measurements: nothing on the Internet answers there."""

TAILNET = ipaddress.ip_network("100.64.0.0/10")
"""Where a tailnet has its addresses. A machine's is put on this machine's side of the rehearsal's network."""


class MachineFailed(ProviderFailure):
    """A rehearsed machine could not be started or changed; the message is one line."""


def engine() -> docker.APIClient:
    """This machine's engine. Raises MachineFailed where none answers."""
    try:
        return docker.APIClient(timeout=300)
    except docker.errors.DockerException as error:
        raise MachineFailed("no Docker engine answers on this machine; a rehearsal with machines needs one") from error


def free_address(taken: set[str]) -> str:
    """A random free address of the rehearsal's network."""
    network = ipaddress.ip_network(_network_config()["Subnet"])
    used = {entry["IPv4Address"].split("/")[0] for entry in _network()["Containers"].values()}
    return _pick(network, taken | used)


def tailnet_address(taken: set[str]) -> str:
    """A random address of those that tailnets use."""
    return _pick(TAILNET, taken)


def invented_address(taken: set[str]) -> str:
    """A random address that belongs to nobody."""
    return _pick(INVENTED, taken)


def _pick(network: ipaddress.IPv4Network | ipaddress.IPv6Network, taken: set[str]) -> str:
    while True:
        address = str(network[256 + secrets.randbelow(network.num_addresses - 512)])
        if address not in taken:
            return address


def _network() -> dict[str, Any]:
    api = engine()
    with exclusive("network"):  # two of that name would be possible, and of no use
        try:
            return dict(api.inspect_network(NETWORK))
        except NotFound:
            _create_network(api)
            return dict(api.inspect_network(NETWORK))


def _network_config() -> dict[str, str]:
    return dict(_network()["IPAM"]["Config"][0])


def _create_network(api: docker.APIClient) -> None:
    for subnet in SUBNETS:
        try:
            api.create_network(
                NETWORK,
                check_duplicate=True,
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=str(ipaddress.ip_network(subnet)[1]))]),
            )
        except APIError as error:
            if "overlap" in str(error.explanation):
                continue
            raise MachineFailed(f"the rehearsal's network cannot be made: {error.explanation}") from error
        return
    raise MachineFailed("no free range of addresses for the rehearsal's network; remove unused Docker networks")


def check_abilities(folder: Path) -> None:
    """Try in a scratch folder whether mounts and loop devices can be made. Raises MachineFailed, one line, if not."""
    try:
        run("ip", "-Version")
        run("losetup", "--find")
        run("mount", "--bind", str(folder), str(folder))
        run("umount", str(folder))
    except FileNotFoundError as error:
        raise MachineFailed(f"{error.filename} is missing: rehearsed machines need it") from error


def take_tailnet_address(address: str) -> None:
    """Put the address on this machine's side of the rehearsal's network."""
    run("ip", "address", "add", f"{address}/32", "dev", f"br-{_network()['Id'][:12]}")


def release_tailnet_address(address: str) -> None:
    """Take it away again; one that is gone is fine."""
    known = json.loads(run("ip", "-json", "address", "show", "to", f"{address}/32"))
    for interface in known:
        run("ip", "address", "del", f"{address}/32", "dev", interface["ifname"])


def attach_loop(image: Path) -> tuple[str, int]:
    """Make a file a loop device; gives its path and minor number."""
    loop = run("losetup", "--find", "--show", str(image)).strip()
    return loop, os.minor(Path(loop).stat().st_rdev)


def detach_loop(loop: str) -> None:
    """Take the device away; the file stays."""
    run("losetup", "--detach", loop)


def loops_below(folder: Path) -> list[str]:
    """Loop devices whose file lies in the folder."""
    pairs = [line.split(None, 1) for line in run("losetup", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()]
    return [device for device, file in pairs if file.strip().startswith(f"{folder}/")]


def share(root: Path, folders: tuple[str, ...]) -> None:
    """Make the folder a mount that shows outside what the machine mounts inside."""
    for path in folders:
        (root / path[1:]).mkdir(parents=True, exist_ok=True)
    if str(root) not in mounted_below(root):
        run("mount", "--bind", str(root), str(root))
    run("mount", "--make-rshared", str(root))


def unshare(root: Path) -> None:
    """Unmount the folder and everything below it, the deepest first."""
    for path in reversed(mounted_below(root)):
        run("umount", "--lazy", path)


def mounted_below(root: Path) -> list[str]:
    """Mount points at the folder and below it, in the order they were mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if point == str(root) or point.startswith(f"{root}/")]


def run(*command: str) -> str:
    """A command's output. Raises MachineFailed with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        raise MachineFailed(f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}")
    return done.stdout
