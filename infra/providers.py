"""The explicit providers: each with the stack's own credentials, never with what lies around in the environment."""

import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_command as command
import pulumi_hcloud as hcloud

from infra.settings import StackSettings


class Providers:
    """One provider a cloud; a Docker provider belongs to its host (`components/container_host.py`)."""

    def __init__(self, settings: StackSettings) -> None:
        self.hcloud = hcloud.Provider("hetzner", token=pulumi.Output.secret(settings.hcloud_token.get_secret_value()))
        self.cloudflare = cloudflare.Provider(
            "cloudflare", api_token=pulumi.Output.secret(settings.cloudflare_api_token.get_secret_value())
        )
        # Explicit, because what is replaced together with its host gets stuck on a default provider (decision 0012).
        self.command = command.Provider("ssh")
