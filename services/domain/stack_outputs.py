"""What a deployed stack promises to its readers: one document, written by infra, read by the console and the verbs.

It holds addresses, names, sizes and schedules, and no secret.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.domain.names import Name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HostOutput(_Part):
    """One machine of the stack."""

    name: str = Field(description="Name at the provider, for example `comfyume-prod-gpu-1`.")
    role: Literal["app", "gpu"]
    provider: Literal["hetzner", "verda"]
    machine_type: str = Field(description="The provider's own name for it, for example `cax31` or `1H200.141S.44V`.")
    location: str
    address: str = Field(description="Public IPv4 address.")
    tailnet_address: str = Field(description="IPv4 address in the tailnet; empty when the host is not in one.")
    price_per_hour: float | None = Field(
        default=None, ge=0, description="Euro without tax by the table in infra/README.md; None: not known."
    )


class ContainerOutput(_Part):
    """One container that the stack runs."""

    name: str
    role: str = Field(description="`redis`, `queue-manager`, `auth`, `admin`, `nginx`, `frontend` or `worker`.")
    host: str = Field(description="The `name` of its host.")
    image: str
    memory_mb: int = Field(gt=0)
    cpus: float = Field(gt=0)
    health_url: str | None = Field(default=None, description="Where the console asks how it is; None: not over HTTP.")


class BucketOutput(_Part):
    """One bucket of the object storage."""

    role: str = Field(description="`cache`, `model-vault`, `worker-container` or `user-files`.")
    name: str
    endpoint: str
    locked_days: int = Field(ge=0, description="For how long an object can neither be changed nor deleted.")


class ScheduleOutput(_Part):
    """When something is backed up, as a systemd calendar expression in UTC."""

    name: str
    host: str
    calendar: str
    target: Literal["shared-filesystem", "object-storage"]


class LinkOutput(_Part):
    """An address that the console offers."""

    title: str
    url: str


class DeploymentOutput(_Part):
    """One serverless container deployment at Verda, driven by one worker on the app host."""

    name: str
    worker: Name
    endpoint: str
    compute: str


class StackOutputs(_Part):
    """The whole document. Participants are not in it: the queue manager knows them, and they come and go daily."""

    version: Literal[1] = 1
    project: str
    stack: str
    public_url: str
    participant_url: str = Field(description="Address of a participant's web UI with `{name}` in it.")
    queue_url: str = Field(description="The queue manager, for workers and the command line.")
    hosts: list[HostOutput]
    containers: list[ContainerOutput] = Field(description="Without the participants' web UIs.")
    frontend: ContainerOutput = Field(description="What each participant's web UI is given; `{name}` in its name.")
    buckets: list[BucketOutput]
    schedules: list[ScheduleOutput]
    deployments: list[DeploymentOutput] = []
    links: list[LinkOutput]
