"""Serverless workers: one deployment of one replica for each worker, and the secrets they read.

Requests to a deployment are balanced over its replicas without affinity, so a worker that follows one ComfyUI needs a
deployment to itself: at most one replica, one request at a time, none while nobody asks.
"""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult
from verda.containers import (
    ComputeResource,
    Container,
    ContainerRegistryCredentials,
    ContainerRegistrySettings,
    Deployment,
    EntrypointOverridesSettings,
    EnvVar,
    EnvVarType,
    HealthcheckSettings,
    QueueLoadScalingTrigger,
    ScalingOptions,
    ScalingPolicy,
    ScalingTriggers,
    SharedFileSystemMount,
    VolumeMount,
    VolumeMountType,
)

from infra.verda.provider import GONE, Props, VerdaProvider

SHARED_MEMORY = "/dev/shm"  # noqa: S108  # Verda's own and only place for it


class VerdaDeploymentProvider(VerdaProvider):
    """Updated in place by sending the whole of it; only its name and its market replace it."""

    replaces = ("name", "is_spot")
    updates = (
        "image",
        "compute",
        "port",
        "healthcheck_path",
        "command",
        "env",
        "secret_env",
        "sfs_volume_id",
        "sfs_mount_path",
        "shared_memory_mb",
        "scale_down_seconds",
        "request_seconds",
        "registry_credentials",
    )
    delete_before_replace = True

    def make(self, props: Props) -> CreateResult:
        made = self.api.serverless.ensure(deployment(props))
        return CreateResult(props["name"], {**props, "endpoint_base_url": made.endpoint_base_url or ""})

    def look(self, id_: str, props: Props) -> ReadResult:
        found = self.api.serverless.get(id_)
        return GONE if found is None else ReadResult(id_, {**props, "endpoint_base_url": found.endpoint_base_url or ""})

    def change(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        made = self.api.serverless.ensure(deployment(news))
        return UpdateResult({**news, "endpoint_base_url": made.endpoint_base_url or ""})

    def unmake(self, id_: str, props: Props) -> None:
        self.api.serverless.delete(id_)


def deployment(props: Props) -> Deployment:
    """A deployment as Verda's API wants it, of the resource's inputs. Pure."""
    credentials = props.get("registry_credentials")
    return Deployment(
        name=props["name"],
        containers=[_container(props)],
        compute=ComputeResource(name=props["compute"], size=1),
        container_registry_settings=ContainerRegistrySettings(
            is_private=bool(credentials),
            credentials=ContainerRegistryCredentials(name=credentials) if credentials else None,
        ),
        is_spot=bool(props.get("is_spot")),
        scaling=ScalingOptions(
            min_replica_count=0,
            max_replica_count=1,
            concurrent_requests_per_replica=1,
            scale_down_policy=ScalingPolicy(delay_seconds=int(props["scale_down_seconds"])),
            scale_up_policy=ScalingPolicy(delay_seconds=0),
            queue_message_ttl_seconds=int(props["request_seconds"]),
            scaling_triggers=ScalingTriggers(queue_load=QueueLoadScalingTrigger(threshold=1)),
        ),
    )


def _container(props: Props) -> Container:
    plain = [(name, value, EnvVarType.PLAIN) for name, value in (props.get("env") or {}).items()]
    secret = [(name, value, EnvVarType.SECRET) for name, value in (props.get("secret_env") or {}).items()]
    memory = VolumeMount(VolumeMountType.MEMORY, SHARED_MEMORY, size_in_mb=int(props["shared_memory_mb"]))
    mounts: list[VolumeMount] = [memory]
    if props.get("sfs_volume_id"):
        mounts.append(SharedFileSystemMount(mount_path=props["sfs_mount_path"], volume_id=props["sfs_volume_id"]))
    port = int(props["port"])
    return Container(
        image=props["image"],
        exposed_port=port,
        healthcheck=HealthcheckSettings(enabled=True, port=port, path=props["healthcheck_path"]),
        entrypoint_overrides=EntrypointOverridesSettings(enabled=bool(props.get("command")), cmd=props.get("command")),
        env=[
            EnvVar(name=name, value_or_reference_to_secret=value, type=type_)
            for name, value, type_ in sorted(plain + secret)
        ],
        volume_mounts=mounts,
    )


class VerdaSecretProvider(VerdaProvider):
    """Verda shows and changes no secret, so a new value is a new secret of the same name."""

    replaces = ("name", "value")
    delete_before_replace = True

    def make(self, props: Props) -> CreateResult:
        self.api.serverless.put_secret(props["name"], props["value"])
        return CreateResult(props["name"], props)

    def look(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, props) if id_ in self.api.serverless.secret_names() else GONE

    def unmake(self, id_: str, props: Props) -> None:
        self.api.serverless.delete_secret(id_)


class VerdaDeployment(Resource, module="verda", name="Deployment"):
    """One serverless ComfyUI; `endpoint_base_url` is where its worker finds it.

    `secret_env` maps an environment variable to the name of a VerdaSecret. `compute` is Verda's name of the GPU.
    """

    endpoint_base_url: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        image: pulumi.Input[str],
        compute: pulumi.Input[str],
        port: pulumi.Input[int] = 8188,
        is_spot: pulumi.Input[bool] = False,
        healthcheck_path: pulumi.Input[str] = "/",
        command: Sequence[pulumi.Input[str]] | None = None,
        env: Mapping[str, pulumi.Input[str]] | None = None,
        secret_env: Mapping[str, pulumi.Input[str]] | None = None,
        sfs_volume_id: pulumi.Input[str] | None = None,
        sfs_mount_path: pulumi.Input[str] = "/mnt/sfs",
        shared_memory_mb: pulumi.Input[int] = 64,
        scale_down_seconds: pulumi.Input[int] = 300,
        request_seconds: pulumi.Input[int] = 36_000,
        registry_credentials: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "name": name,
            "image": image,
            "compute": compute,
            "port": port,
            "is_spot": is_spot,
            "healthcheck_path": healthcheck_path,
            "command": None if command is None else list(command),
            "env": dict(env or {}),
            "secret_env": dict(secret_env or {}),
            "sfs_volume_id": sfs_volume_id,
            "sfs_mount_path": sfs_mount_path,
            "shared_memory_mb": shared_memory_mb,
            "scale_down_seconds": scale_down_seconds,
            "request_seconds": request_seconds,
            "registry_credentials": registry_credentials,
            "endpoint_base_url": None,
        }
        super().__init__(VerdaDeploymentProvider(), resource_name, props, opts)


class VerdaSecret(Resource, module="verda", name="Secret"):
    """A value that deployments read by its name; it is shown nowhere."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        value: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {"name": name, "value": pulumi.Output.secret(value)}
        super().__init__(VerdaSecretProvider(), resource_name, props, opts)
