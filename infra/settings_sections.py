"""The sections of a stack file: what each key means, which values it takes, what changes when it changes.

Values only; `infra/settings.py` reads them. A description tells the operator what happens when she edits the key.
"""

import re
import zoneinfo
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, model_validator

from services.domain.names import Name

EU_ARM_LOCATIONS = ("fsn1", "nbg1", "hel1")
TAILNET = IPv4Network("100.64.0.0/10")
"""Tailscale hands out addresses of this range (RFC 6598)."""


def form(pattern: str, looks_like: str) -> AfterValidator:
    """Text that matches all of `pattern`; who writes something else is told what it looks like."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"has to look like {looks_like}")
        return text

    return AfterValidator(check)


_BY_DIGEST = r"[a-z0-9./_-]+(:[A-Za-z0-9._-]+)?@sha256:[0-9a-f]{64}"
_PUBLIC_KEY = r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256) [A-Za-z0-9+/]{16,}={0,3}( [ -~]*)?"

SshPublicKey = Annotated[str, form(_PUBLIC_KEY, "`ssh-ed25519 AAAA... name`, one line of an `id_ed25519.pub`")]
DomainName = Annotated[
    str, Field(max_length=253), form(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", "`workshop.example.org`")
]
BucketName = Annotated[
    str, form(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "`comfyume-cache`: 3 to 63 lower-case letters, digits and hyphens")
]
HexId = Annotated[str, form(r"[0-9a-f]{32}", "32 hex digits in quotes, as Cloudflare's dashboard shows the id")]
PinnedImage = Annotated[str, form(_BY_DIGEST, "`registry.example.org/comfyui:1.0@sha256:<64 hex digits>`")]
HostImage = Annotated[
    str, form(rf"{_BY_DIGEST}|comfyume-[a-z0-9-]+", "`redis:7.2@sha256:<64 hex digits>`, or `comfyume-...` on the host")
]
InstanceType = Annotated[str, form(r"[A-Za-z0-9.]{2,40}", "`1H200.141S.44V`, as Verda's price list names it")]
ClockTime = Annotated[str, form(r"([01][0-9]|2[0-3]):[0-5][0-9]", '"09:00", hours and minutes in quotes')]


def _is_time_zone(name: str) -> str:
    known = zoneinfo.available_timezones()
    # A machine without the database of time zones knows none; then the verb that needs it says so.
    if known and name not in known:
        raise ValueError("has to be a time zone's name, such as `Europe/Berlin`")
    return name


TimeZone = Annotated[str, AfterValidator(_is_time_zone)]


def _tailnet_address(text: object) -> IPv4Address:
    try:
        address = IPv4Address(text if isinstance(text, str) else "")
    except ValueError:
        address = IPv4Address("0.0.0.0")
    if address not in TAILNET:
        raise ValueError("has to be an address of 100.64.0.0/10, as `tailscale ip -4` prints it")
    return address


TailnetAddress = Annotated[IPv4Address, PlainValidator(_tailnet_address)]


class Section(BaseModel):
    """A part of the stack file: no key that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class AppHostSettings(Section):
    """The one machine that runs everything but the GPU work."""

    server_type: Literal["cax11", "cax21", "cax31", "cax41", "cpx31", "cpx41", "cpx51", "ccx23", "ccx33"] = Field(
        default="cax31",
        description="Hetzner's name of the size; a change restarts the machine once, and keeps its disk and its data.",
    )
    location: Literal["fsn1", "nbg1", "hel1", "ash", "hil", "sin"] = Field(
        default="fsn1", description="Where it stands; a change replaces the machine, so it is stopped by protection."
    )
    operating_system: Literal["ubuntu-24.04", "debian-12", "debian-13"] = Field(
        default="ubuntu-24.04", description="Hetzner's image; a change replaces the machine."
    )
    data_volume_gb: int = Field(
        default=100, ge=10, le=10_240, description="Size of the volume for Redis, files and workspaces; may only grow."
    )
    expected_tailnet_address: TailnetAddress | None = Field(
        default=None, description="Joining the tailnet is aborted when the machine gets another address than this."
    )

    @property
    def architecture(self) -> Literal["arm64", "amd64"]:
        """Hetzner's CAX machines are ARM, all others x86."""
        return "arm64" if self.server_type.startswith("cax") else "amd64"

    @model_validator(mode="after")
    def _arm_is_european(self) -> Self:
        if self.architecture == "arm64" and self.location not in EU_ARM_LOCATIONS:
            raise ValueError(f"{self.server_type} is offered in {', '.join(EU_ARM_LOCATIONS)} only; change `location`")
        return self


class AccessSettings(Section):
    """Who may log in to the machines."""

    public_keys: list[SshPublicKey] = Field(
        min_length=1,
        description="Public SSH keys of the operators; the first is that of operator_private_key.",
    )
    rustdesk: bool = Field(default=False, description="Open ports 21115 to 21119 for RustDesk on the app host.")


class DnsSettings(Section):
    """Where the domain's records live."""

    zone_id: HexId = Field(description="Cloudflare's id of the zone that holds `domain`.")
    ttl_seconds: int = Field(default=60, ge=60, le=86_400, description="How long resolvers keep the address.")


class BucketSettings(Section):
    """One bucket."""

    name: BucketName = Field(description="Its name; a change makes a new, empty bucket and keeps the old one.")
    locked_days: int = Field(default=0, ge=0, le=3650, description="For how long no object can be changed or deleted.")
    adopt: bool = Field(default=False, description="The bucket exists already: take it over instead of making it.")


class Buckets(Section):
    """The four buckets by what they hold."""

    cache: BucketSettings = Field(description="Configuration and identity.")
    model_vault: BucketSettings = Field(description="Models.")
    worker_container: BucketSettings = Field(description="Container images.")
    user_files: BucketSettings = Field(description="What the participants made.")

    def by_role(self) -> dict[str, BucketSettings]:
        """`cache`, `model-vault`, `worker-container`, `user-files`: the roles as they are called everywhere else."""
        return {name.replace("_", "-"): getattr(self, name) for name in type(self).model_fields}


class ObjectStorageSettings(Section):
    """The buckets on R2, all in the European jurisdiction."""

    account_id: HexId = Field(description="Cloudflare's id of the account.")
    buckets: Buckets
    legacy_buckets: list[BucketName] = Field(
        default=[], description="Buckets of an earlier system, taken into the stack's care and never deleted."
    )

    @property
    def endpoint(self) -> str:
        """Where buckets of the European jurisdiction answer; they are invisible anywhere else."""
        return f"https://{self.account_id}.eu.r2.cloudflarestorage.com"


class ParticipantSettings(Section):
    """One participant."""

    rekeyed: int = Field(default=0, ge=0, description="Count it up to give this person alone a new password.")


class StaffSettings(Section):
    """Somebody who steers the room."""

    role: Literal["instructor", "operator"] = Field(
        description="An instructor steers the queue; an operator also manages people and workers."
    )
    rekeyed: int = Field(default=0, ge=0, description="Count it up to give this person a new password.")


class SharedFilesystemSettings(Section):
    """The SFS volume at Verda."""

    size_gb: int = Field(default=220, ge=50, le=20_000, description="Size of the volume; may only grow.")
    adopt_id: Annotated[str, form(r"[A-Za-z0-9-]{8,64}", "the volume's id in Verda's console")] | None = Field(
        default=None, description="Id of a volume that exists; None: one is made."
    )


class GpuSettings(Section):
    """The rented machines that do the work."""

    count: int = Field(default=0, ge=0, le=3, description="How many GPU hosts stand now: n in the morning, 0 at night.")
    instance_type: InstanceType = Field(default="1H200.141S.44V", description="Verda's name; a change replaces hosts.")
    location: Literal["FIN-01", "FIN-02", "FIN-03", "ICE-01"] = Field(
        default="FIN-01", description="Where hosts and shared filesystem stand; they have to be in the same place."
    )
    operating_system: Annotated[str, form(r"[a-z0-9.-]{3,80}", "`ubuntu-24.04-cuda-12.8-open-docker`")] = Field(
        default="ubuntu-24.04-cuda-12.8-open-docker", description="Verda's image; a change replaces hosts."
    )
    is_spot: bool = Field(default=False, description="Cheaper, and may be taken away at any time.")
    os_volume_gb: int = Field(
        default=100, ge=50, le=2000, description="Size of each host's system disk; a change replaces hosts."
    )
    scratch_gb: int = Field(default=0, ge=0, le=20_000, description="Size of the scratch volume of each host; 0: none.")
    format_blank_scratch: bool = Field(default=False, description="Make a file system on a scratch volume without one.")
    workers_per_host: int = Field(default=1, ge=1, le=3, description="They share the GPU's memory.")
    backend: Literal["local", "rehearsal"] = Field(
        default="local", description="local: ComfyUI on the GPU. rehearsal: placeholder pictures, no GPU used."
    )
    expected_tailnet_addresses: list[TailnetAddress] = Field(
        default=[], max_length=3, description="Of the first, second and third host; joining with another is aborted."
    )


class ServerlessSettings(Section):
    """Workers whose ComfyUI is a serverless container at Verda: another shape of the same pool."""

    count: int = Field(default=0, ge=0, le=20, description="How many deployments, each with one worker.")
    compute: Literal["H200", "B300", "H100", "RTX 6000 Ada", "L40S"] = Field(
        default="H200", description="The GPU of each replica."
    )
    is_spot: bool = Field(default=True, description="Cheaper, and may be taken away at any time.")
    image: PinnedImage | None = Field(default=None, description="ComfyUI's image in a registry, by digest.")
    command: list[str] = Field(
        default=["python3", "main.py", "--listen", "0.0.0.0", "--port", "8188"],
        description="How that image starts ComfyUI.",
    )
    idle_seconds: int = Field(default=300, ge=0, le=86_400, description="A replica without work ends after this long.")

    @model_validator(mode="after")
    def _image_is_known(self) -> Self:
        if self.count and self.image is None:
            raise ValueError("`image` is needed as soon as `count` is above 0: name the image with its digest")
        return self


class Limit(Section):
    """What one container may take."""

    memory_mb: int = Field(ge=32, le=1_000_000, description="MiB; a container that wants more ends, and starts again.")
    cpus: float = Field(gt=0, le=128, description="Processors, also parts of one.")


class LimitsSettings(Section):
    """Memory and processors of each container; enforced, and a container over its memory ends alone."""

    redis: Limit = Limit(memory_mb=1536, cpus=1)
    queue_manager: Limit = Limit(memory_mb=1024, cpus=2)
    auth: Limit = Limit(memory_mb=256, cpus=1)
    admin: Limit = Limit(memory_mb=256, cpus=1)
    nginx: Limit = Limit(memory_mb=256, cpus=2)
    frontend: Limit = Limit(memory_mb=256, cpus=0.5)
    worker: Limit = Limit(memory_mb=65_536, cpus=16)
    remote_worker: Limit = Limit(memory_mb=256, cpus=0.5)
    monitoring: Limit = Limit(memory_mb=512, cpus=0.5)


class MonitoringSettings(Section):
    """What watches the workshop beside the console; each costs memory on the app host."""

    prometheus: bool = Field(default=False, description="Collects metrics and evaluates the alert rules.")
    grafana: bool = Field(default=False, description="Shows what prometheus collects.")
    portainer: bool = Field(default=False, description="Shows and restarts containers; it holds the Docker socket.")

    @model_validator(mode="after")
    def _grafana_needs_a_source(self) -> Self:
        if self.grafana and not self.prometheus:
            raise ValueError("`grafana` shows what `prometheus` collects: set both, or neither")
        return self


class ImageOverrides(Section):
    """Other images than images/versions.toml names: newer ones by digest, or such that are on the host already."""

    python: HostImage | None = Field(default=None, description="Base of the images that run Python.")
    debian: HostImage | None = Field(default=None, description="Base of the other images.")
    redis: HostImage | None = Field(default=None, description="The queue's database.")
    prometheus: HostImage | None = Field(default=None, description="Prometheus.")
    grafana: HostImage | None = Field(default=None, description="Grafana.")
    portainer: HostImage | None = Field(default=None, description="Portainer.")


class QueueSettings(Section):
    """How the one queue behaves."""

    waiting_cap: int = Field(default=32, ge=1, le=100_000, description="Waiting jobs a participant may have.")
    running_cap: int = Field(default=1, ge=1, le=1000, description="Running jobs of one participant while others wait.")
    lease_seconds: float = Field(default=25, ge=5, le=3600, description="How long a silent worker keeps its job.")


class ProtectionSettings(Section):
    """What may not be deleted or replaced by accident. Names are logical ones, for example `app-host`."""

    enabled: bool = Field(default=True, description="False only for a stack whose data nobody needs.")
    allow_replacement: list[Name] = Field(
        default=[], description="Holders of data that may be replaced or deleted in the next `up`; empty it afterwards."
    )
    keep_as_built: list[Literal["app-host"]] = Field(
        default=[],
        description="Machines that keep the first-boot settings they were made with.",
    )


class SessionSettings(Section):
    """A time in which people work; `make up` refuses to touch the stack then, unless it is forced."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        min_length=1, description="On which days of the week."
    )
    start: ClockTime = Field(description="From then on updates are refused.")
    end: ClockTime = Field(description="From then on they are welcome again.")
    time_zone: TimeZone = Field(default="Europe/Berlin", description="In which `start` and `end` are meant.")

    @model_validator(mode="after")
    def _start_comes_first(self) -> Self:
        if self.start >= self.end:
            raise ValueError("`start` has to be earlier than `end`; write a session over midnight as two")
        return self
