"""The app host: one server at Hetzner with its firewall, keys, address and data volume.

Address and volume are made apart from the server and survive it. Server, address and volume hold what nobody can make
again, so they are protected: a plan that would delete or replace one of them is refused by name.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_hcloud as hcloud

from infra.components.machine import Machine
from infra.protection import first_boot_is_kept, is_protected
from infra.remote.cloud_init import render_cloud_init
from infra.remote.host_key import HostKey
from infra.stack import Stack

ANYWHERE = ["0.0.0.0/0", "::/0"]
RUSTDESK = "21115-21119"


@dataclass(frozen=True, kw_only=True)
class VpsArgs:
    """The stack's settings, names and providers."""

    stack: Stack


class Vps(pulumi.ComponentResource):
    """`machine` is what everything on the app host is built on; `data_device` the volume's path in /dev."""

    machine: Machine
    data_device: pulumi.Output[str]

    def __init__(self, name: str, args: VpsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("comfyume:machines:Vps", name, None, opts)
        self._name, self._args = name, args
        self._hetzner = args.stack.providers.hcloud
        # The first key gets in at first boot; who else may, and who no longer, is a bootstrap step's business. A change
        # of the machine's own list would replace the machine.
        key = hcloud.SshKey(
            f"{name}-key",
            name=args.stack.naming.of("operator"),
            public_key=args.stack.settings.access.public_keys[0],
            labels=args.stack.naming.labels,
            opts=self._child(),
        )
        address, volume = self._address(), self._volume()
        server = self._server(address, self._firewall(), key)
        attachment = hcloud.VolumeAttachment(
            f"{name}-data",
            volume_id=volume.id.apply(int),
            server_id=server.id.apply(int),
            automount=False,
            opts=self._child(deleted_with=server, replace_with=[server]),
        )
        host_key = HostKey(
            f"{name}-host-key",
            address=address.ip_address,
            identity=server.id,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[attachment], deleted_with=server, replace_with=[server]
            ),
        )
        self.data_device = volume.linux_device
        self.machine = Machine(
            name=name,
            resource=server,
            id=server.id,
            address=address.ip_address,
            host_key=host_key.host_key,
            architecture=args.stack.settings.app_host.architecture,
            private_key=pulumi.Output.secret(args.stack.settings.operator_private_key.get_secret_value()),
            ssh=args.stack.providers.command,
        )
        self.register_outputs({"address": address.ip_address})

    def _child(self, **options: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, provider=self._hetzner, **options)

    def _guarded(self, what: str) -> bool:
        return is_protected(f"{self._name}-{what}", self._args.stack.settings.protection)

    def _address(self) -> hcloud.PrimaryIp:
        """An address of its own, so that a new server is found where the old one was."""
        return hcloud.PrimaryIp(
            f"{self._name}-address",
            name=self._args.stack.naming.of("address"),
            type="ipv4",
            location=self._args.stack.settings.app_host.location,
            auto_delete=False,
            labels=self._args.stack.naming.labels,
            opts=self._child(protect=self._guarded("address")),
        )

    def _volume(self) -> hcloud.Volume:
        """Queue, files and workspaces; never formatted by Hetzner, and kept when the stack goes."""
        return hcloud.Volume(
            f"{self._name}-volume",
            name=self._args.stack.naming.of("data"),
            size=self._args.stack.settings.app_host.data_volume_gb,
            location=self._args.stack.settings.app_host.location,
            labels=self._args.stack.naming.labels,
            opts=self._child(
                protect=self._guarded("volume"),
                retain_on_delete=True,
            ),
        )

    def _firewall(self) -> hcloud.Firewall:
        rules = [
            _open("22", "SSH; ufw limits how often"), _open("80", "redirect to HTTPS"), _open("443", "HTTPS"),
            _open("41641", "Tailscale, directly", protocol="udp"),
        ]  # fmt: skip
        if self._args.stack.settings.access.rustdesk:
            rules += [_open(RUSTDESK, "RustDesk"), _open("21116", "RustDesk", protocol="udp")]
        return hcloud.Firewall(
            f"{self._name}-firewall",
            name=self._args.stack.naming.of("firewall"),
            rules=rules,
            labels=self._args.stack.naming.labels,
            opts=self._child(),
        )

    def _server(self, address: hcloud.PrimaryIp, firewall: hcloud.Firewall, key: hcloud.SshKey) -> hcloud.Server:
        wanted, access = self._args.stack.settings.app_host, self._args.stack.settings.access
        protection = self._args.stack.settings.protection
        kept = first_boot_is_kept(self._name, protection)
        protect = is_protected(self._name, protection)
        return hcloud.Server(
            self._name,
            name=self._args.stack.naming.of("app"),
            server_type=wanted.server_type,
            image=wanted.operating_system,
            location=wanted.location,
            ssh_keys=[key.id],
            user_data=render_cloud_init(access.public_keys[:1], distribution=wanted.operating_system.partition("-")[0]),
            public_nets=[hcloud.ServerPublicNetArgs(ipv4=address.id.apply(int), ipv4_enabled=True, ipv6_enabled=False)],
            firewall_ids=[firewall.id.apply(int)],
            keep_disk=True,
            delete_protection=protect,
            rebuild_protection=protect,
            labels=self._args.stack.naming.labels,
            # One address serves one server: the old one has to go first.
            opts=self._child(
                protect=protect,
                ignore_changes=["user_data", "ssh_keys", "image"] if kept else None,
                delete_before_replace=True,
            ),
        )


def _open(port: str, why: str, protocol: str = "tcp") -> hcloud.FirewallRuleArgs:
    return hcloud.FirewallRuleArgs(direction="in", protocol=protocol, port=port, source_ips=ANYWHERE, description=why)
