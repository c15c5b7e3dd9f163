"""A machine with a volume, a password for each person, and something rented by a dynamic resource of our own."""

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random

from tests.engine.small_host import SmallHost

config = pulumi.Config()
token = config.require_secret("token")
hetzner = pulumi.ResourceOptions(provider=hcloud.Provider("hetzner", token=token))

key = hcloud.SshKey("operator", name="small-operator", public_key=config.require("public_key"), opts=hetzner)
server = hcloud.Server(
    "app-host",
    name="small-app-host",
    server_type="cax31",
    image="debian-13",
    location="fsn1",
    ssh_keys=[key.id],
    user_data=pulumi.Output.concat("#cloud-config\n# ", token),
    opts=hetzner,
)
volume = hcloud.Volume("data", name="small-data", size=config.require_int("volume_gb"), location="fsn1", opts=hetzner)
hcloud.VolumeAttachment("data", volume_id=volume.id.apply(int), server_id=server.id.apply(int), opts=hetzner)
passwords = {name: random.RandomPassword(f"password-{name}", length=24) for name in config.require_object("people")}
host = SmallHost("gpu-1", name="small-gpu-1", token=token)

pulumi.export("address", server.ipv4_address)
pulumi.export("note", pulumi.Output.concat("the token is ", token))
