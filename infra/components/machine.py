"""A machine as the other components see it: where it is, how to log in, whose life everything on it shares."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_command as command

DIAL_ATTEMPTS = 60
"""A machine that just started takes a minute or two until it lets anybody in."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One host. Whatever stands on it goes with it, and comes anew when it is replaced."""

    name: str
    """Logical name: `app-host`, `gpu-1`."""
    resource: pulumi.Resource
    id: pulumi.Output[str]
    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    architecture: Literal["arm64", "amd64"]
    private_key: pulumi.Output[str]
    ssh: command.Provider
    ready: tuple[pulumi.Resource, ...] = ()
    """What has to be done on it before anything is put there; empty while it is being prepared."""

    @property
    def connection(self) -> command.remote.ConnectionArgs:
        """How commands get in: the operator's key, and no other machine than the one whose key was seen first."""
        return command.remote.ConnectionArgs(
            host=self.address,
            user="root",
            private_key=self.private_key,
            host_key=self.host_key,
            dial_error_limit=DIAL_ATTEMPTS,
        )

    def options(
        self, parent: pulumi.Resource, *, after: list[pulumi.Resource] | None = None,
        provider: pulumi.ProviderResource | None = None,
    ) -> pulumi.ResourceOptions:  # fmt: skip
        """For everything on this machine: no own deletion when the machine goes, made anew when it is replaced.

        `deleted_with` alone would leave it untouched beside a new machine (facts: engine, section 9).
        """
        return pulumi.ResourceOptions(
            parent=parent,
            provider=provider or self.ssh,
            depends_on=[*self.ready, *(after or [])],
            deleted_with=self.resource,
            replace_with=[self.resource],
        )
