"""GPU hosts by number, each with the shared file system, a scratch disk, and a secret of a serverless worker."""

import pulumi

from infra.verda import resources as verda

PLACE = "FIN-01"

config = pulumi.Config()
key = verda.VerdaSshKey("operator", name="fleet-operator", public_key=config.require("public_key"))
script = verda.VerdaStartupScript("startup", name="fleet-startup", script="#!/bin/sh\ntrue\n")
shared = verda.VerdaVolume(
    "sfs",
    name="fleet-sfs",
    type="NVMe_Shared",
    size=50,
    location=PLACE,
    opts=pulumi.ResourceOptions(retain_on_delete=True),
)
token = verda.VerdaSecret("token", name="fleet-token", value=config.require_secret("token"))

for number in range(1, config.require_int("hosts") + 1):
    name = f"gpu-{number}"
    host = verda.VerdaInstance(
        name,
        hostname=f"fleet-{name}",
        description="a test",
        instance_type=config.require("instance_type"),
        image="ubuntu-24.04",
        location=PLACE,
        ssh_key_ids=[key.id],
        os_volume_size=50,
        startup_script_id=script.id,
        boot_seconds=config.require_int("patience"),
    )
    on_host = pulumi.ResourceOptions(deleted_with=host, replace_with=[host])
    ready = verda.VerdaInstanceReady(
        name,
        instance_id=host.id,
        hostname=f"fleet-{name}",
        host_key=host.host_key,
        timeout_seconds=config.require_int("patience"),
        opts=on_host,
    )
    share = verda.VerdaVolumeShare(
        name,
        volume_id=shared.id,
        instance_id=host.id,
        opts=pulumi.ResourceOptions.merge(on_host, pulumi.ResourceOptions(depends_on=[ready])),
    )
    scratch = verda.VerdaVolume(
        f"{name}-scratch",
        name=f"fleet-{name}-scratch",
        type="NVMe",
        size=100,
        location=PLACE,
        opts=pulumi.ResourceOptions(retain_on_delete=True),
    )
    verda.VerdaScratchAttachment(
        name,
        volume_id=scratch.id,
        instance_id=host.id,
        timeout_seconds=120,
        opts=pulumi.ResourceOptions.merge(on_host, pulumi.ResourceOptions(depends_on=[share])),
    )
    pulumi.export(name, ready.ip)
