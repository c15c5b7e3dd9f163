"""A folder made over SSH, an image built from a page, Redis on a network of its own, a web server in front of it."""

import pulumi
import pulumi_command as command
import pulumi_docker as docker

config = pulumi.Config()
prefix, address, host_key = config.require("prefix"), config.require("address"), config.require("host_key")

folder = command.remote.Command(
    "folder",
    connection=command.remote.ConnectionArgs(
        host=address, private_key=config.require_secret("private_key"), host_key=host_key
    ),
    create="install -d -o 10001 -g 10001 /srv/comfyume/redis && cat > /srv/comfyume/note && echo made",
    delete="rm -f /srv/comfyume/note",
    stdin=config.require_secret("note"),
    add_previous_output_in_env=False,
)
host = docker.Provider(
    "host",
    host=f"ssh://root@{address}",
    ssh_opts=[
        "-i", config.require("key_file"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
        "-o", "UserKnownHostsFile=/dev/null", "-o", f"KnownHostsCommand=/bin/echo {address} {host_key}",
    ],
    opts=pulumi.ResourceOptions(depends_on=[folder]),
)  # fmt: skip
here = pulumi.ResourceOptions(provider=host)
front = docker.Network("front", name=f"{prefix}-front", opts=here)
inner = docker.Network("inner", name=f"{prefix}-inner", internal=True, opts=here)
redis_image = docker.RemoteImage("redis", name="redis:7.2-bookworm@sha256:" + "1" * 64, keep_locally=True, opts=here)
web_image = docker.Image(
    "web",
    image_name=f"{prefix}/web:try",
    build=docker.DockerBuildArgs(
        context=config.require("context"),
        dockerfile=f"{config.require('context')}/Dockerfile",
        args={"BASE": "python:3.11-slim-bookworm@sha256:" + "2" * 64},
        platform="linux/arm64",
    ),
    skip_push=True,
    opts=here,
)
megabytes = config.get_int("megabytes") or 64
redis = docker.Container(
    "redis",
    name=f"{prefix}-redis",
    image=redis_image.repo_digest,
    command=["redis-server", "--dir", "/data"],
    user="10001:10001",
    read_only=True,
    capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
    security_opts=["no-new-privileges:true"],
    memory=megabytes,
    memory_swap=megabytes,
    cpus="0.5",
    tmpfs={"/tmp": "rw,noexec,nosuid,size=8m"},
    mounts=[docker.ContainerMountArgs(type="bind", source="/srv/comfyume/redis", target="/data")],
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=inner.name, aliases=["redis"])],
    healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "redis-cli", "ping"], interval="1s", timeout="30s"),
    restart="unless-stopped",
    wait=True,
    wait_timeout=180,
    destroy_grace_seconds=10,
    log_driver="json-file",
    log_opts={"max-size": "1m", "max-file": "2"},
    labels=[docker.ContainerLabelArgs(label="stack", value="try")],
    opts=here,
)
docker.Container(
    "web",
    name=f"{prefix}-web",
    image=web_image.repo_digest,
    envs=[pulumi.Output.concat("NOTE=", config.require_secret("note"))],
    networks_advanced=[
        docker.ContainerNetworksAdvancedArgs(name=front.name, aliases=["web"]),
        docker.ContainerNetworksAdvancedArgs(name=inner.name),
    ],
    ports=[
        docker.ContainerPortArgs(internal=8080, external=80, ip="0.0.0.0"),
        docker.ContainerPortArgs(internal=8080, external=8180, ip=config.require("tailnet_address")),
    ],
    gpus="all",
    opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[redis])),
)
pulumi.export("said", folder.stdout)
