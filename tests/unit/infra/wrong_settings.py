"""Wrong stack files, each one change away from one that is right, and what has to be said about each."""

from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal import made_up
from tests.support.stack_settings import ABSENT, SECRETS, Raw

DIGEST = "sha256:" + "0" * 64
BUCKET = {"name": "comfyume-staging-cache"}
OPENSSH = "OPENSSH PRIVATE KEY"
PUBLIC_KEY = made_up.ssh_keys().public


@dataclass(frozen=True)
class Wrong:
    """A change to a stack file that parses, and what has to be said about it."""

    changes: dict[str, Any]
    key: str
    reason: str
    step: str = "set it in the stack file: "
    foreign: Raw = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.key}-{self.reason}"[:60]


def wrong(key: str, reason: str, step: str = "set it in the stack file: ", **changes: Any) -> Wrong:
    return Wrong(changes, f"comfyume:{key}", reason, step)


def secret_step(name: str) -> str:
    return f"`pulumi config set --secret comfyume:{name}`"


UNKNOWN = [
    wrong("gup", "is not a setting", "did you mean `gpu`?", gup={"count": 1}),
    wrong("colour", "is not a setting", "Allowed here: access, app_host", colour="blue"),
    wrong("", "is not a setting", "Allowed here", **{"": "nothing"}),
    wrong("gpu.cuont", "is not a setting", "did you mean `count`?", gpu__cuont=1),
    wrong("object_storage.buckets.cash", "is not a setting", "did you mean `cache`?",
          object_storage__buckets__cash=BUCKET),
    wrong("object_storage.buckets.cache.lock", "is not a setting", "Allowed here: adopt, locked_days, name",
          object_storage__buckets__cache__lock=1),
    wrong("participants.user001.colour", "is not a setting", "Allowed here: rekeyed",
          participants__user001={"colour": 1}),
    wrong("staff.ops.rekeyd", "is not a setting", "did you mean `rekeyed`?", staff__ops={"role": "operator",
          "rekeyd": 1}),
    wrong("sessions.0.from", "is not a setting", "Allowed here: days, end, start, time_zone",
          sessions=[{"days": ["mon"], "start": "09:00", "end": "10:00", "from": 1}]),
    wrong("limits.redis.memory", "is not a setting", "did you mean `memory_mb`?",
          limits__redis={"memory_mb": 64, "cpus": 1, "memory": 2}),
]  # fmt: skip
TYPES = [
    wrong("gpu.count", "has to be a whole number, without quotes", gpu__count="two"),
    wrong("gpu.count", "has to be a whole number, without quotes", gpu__count="2"),
    wrong("gpu.count", "has to be a whole number", gpu__count=1.5),
    wrong("gpu.count", "has to be a whole number", gpu__count=True),
    wrong("gpu.is_spot", "has to be true or false", gpu__is_spot="perhaps"),
    wrong("monitoring.grafana", "has to be true or false", monitoring__grafana=1),
    wrong("dns.zone_id", "has to be text; put it in quotes", dns__zone_id=12345678901234567890123456789012),
    wrong("limits.redis.cpus", "has to be a number, without quotes", limits__redis__cpus="all"),
    wrong("gpu", "has to be a section with keys of its own", gpu=[]),
    wrong("gpu", "has to be a section with keys of its own", gpu="{count: 1"),
    wrong("gpu", "has to be a section with keys of its own", gpu="[" * 100_000),
    wrong("participants", "has to be a section with keys of its own", participants=["user001"]),
    wrong("participants.user001", "has to be a section with keys of its own", participants__user001=None),
    wrong("access.public_keys", "has to be a list", access__public_keys=PUBLIC_KEY),
    wrong("session_key", "has to be a whole number", session_key="new"),
    wrong("certificate_key", "is too short", secret_step("certificate_key"), certificate_key={"secure": "v1:abc"}),
]  # fmt: skip
RANGES = [
    wrong("gpu.count", "has to be 3 or less", gpu__count=4),
    wrong("gpu.count", "has to be 0 or more", gpu__count=-1),
    wrong("shared_filesystem.size_gb", "has to be 20000 or less", shared_filesystem__size_gb=10**30),
    wrong("object_storage.buckets.cache.locked_days", "has to be 3650 or less",
          object_storage__buckets__cache__locked_days=9999),
    wrong("participants.user001.rekeyed", "has to be 0 or more", participants__user001={"rekeyed": -1}),
    wrong("limits.redis.memory_mb", "has to be 32 or more", limits__redis__memory_mb=1),
    wrong("limits.redis.cpus", "has to be more than 0", limits__redis__cpus=0),
    wrong("limits.redis.cpus", "has to be a finite number", limits='{"redis": {"memory_mb": 64, "cpus": NaN}}'),
    wrong("session_key", "has to be 1 or more", session_key=0),
    wrong("workshop_title", "is too short", workshop_title=""),
    wrong("access.public_keys", "needs 1 or more entries", access__public_keys=[]),
    wrong("gpu.expected_tailnet_addresses", "takes 3 entries at most",
          gpu__expected_tailnet_addresses=[f"100.64.0.{n}" for n in range(1, 5)]),
    wrong("app_host.server_type", "takes one of 'cax11'", app_host__server_type="cax99"),
    wrong("staff.ops.role", "takes one of 'instructor' or 'operator'", staff__ops={"role": "boss"}),
]  # fmt: skip
FORMS = [
    wrong("domain", "has to look like `workshop.example.org`", domain="https://workshop.example.org/"),
    wrong("domain", "has to look like `workshop.example.org`", domain="../../etc/passwd"),
    wrong("domain", "has to look like `workshop.example.org`", domain="workshop.example.org\n"),
    wrong("domain", "has to look like `workshop.example.org`", domain="a\x00b.example.org"),
    wrong("dns.zone_id", "has to look like 32 hex digits", dns__zone_id="workshop.example.org"),
    wrong("object_storage.buckets.cache.name", "has to look like `comfyume-cache`",
          object_storage__buckets__cache__name="My_Bucket"),
    wrong("access.public_keys.0", "has to look like `ssh-ed25519 AAAA...", access__public_keys=["ssh-dss AAAA"]),
    wrong("access.public_keys.1", "has to look like", access__public_keys=[PUBLIC_KEY,
          "ssh-rsa AAAAB3NzaC1yc2EAAAAD\nssh-rsa x"]),
    wrong("gpu.instance_type", "has to look like `1H200.141S.44V`", gpu__instance_type="1H200; rm -rf /"),
    wrong("image_overrides.redis", "has to look like `redis:7.2@sha256:", image_overrides__redis="redis:latest"),
    wrong("serverless.image", "has to look like `registry.example.org/", serverless={"count": 1,
          "image": "comfyui:latest"}),
    wrong("sessions.0.start", 'has to look like "09:00"', sessions=[{"days": ["mon"], "start": "9", "end": "18:00"}]),
    wrong("sessions.0.time_zone", "has to be a time zone's name",
          sessions=[{"days": ["mon"], "start": "09:00", "end": "18:00", "time_zone": "Europe/Atlantis"}]),
    wrong("app_host.expected_tailnet_address", "has to be an address of 100.64.0.0/10",
          app_host__expected_tailnet_address="192.0.2.1"),
    wrong("app_host.expected_tailnet_address", "has to be an address of 100.64.0.0/10",
          app_host__expected_tailnet_address="here"),
    wrong("backup_recipient", "has to look like `age1...`", backup_recipient="AGE-SECRET-KEY-1"),
    wrong("participants.Dora", "has to be a name: lower-case letters", participants__Dora={}),
    wrong(f"participants.{'d' * 33}", "may have 32 characters at most", participants={"d" * 33: {}}),
    wrong("participants.a?[31mb?", "has to be a name", participants={"a\x1b[31mb\n": {}}),
]  # fmt: skip
MISSING = [
    wrong("domain", "is missing", "The name that people type", domain=ABSENT),
    wrong("object_storage", "is missing", "The buckets on R2", object_storage=ABSENT),
    wrong("object_storage.buckets.model_vault", "is missing", "Models", object_storage__buckets__model_vault=ABSENT),
    wrong("staff.ops.role", "is missing", staff__ops={}),
    wrong("limits.redis.memory_mb", "is missing", limits__redis={"cpus": 1}),
    *(wrong(name, "is ", secret_step(name), **{name: ABSENT}) for name in SECRETS),
]  # fmt: skip
TOGETHER = [
    wrong("participants.admin", "is an address of the front door", "choose another name", participants__admin={}),
    wrong("staff.api", "is an address of the front door", "choose another name", staff__api={"role": "instructor"}),
    wrong("staff.ops", "is a participant as well", "give the two different names", participants__ops={}),
    wrong("staff", "needs at least one operator", "add one, for example `ops: {role: operator}`",
          staff={"anna": {"role": "instructor"}}),
    wrong("shared_filesystem", "is needed as soon as gpu.count is above 0", "set its size_gb or adopt_id",
          shared_filesystem=ABSENT, gpu__count=1),
    wrong("verda_inference_key", "is needed as soon as serverless.count is above 0", secret_step("verda_inference_key"),
          serverless={"count": 1, "image": f"registry.example.org/comfyui@{DIGEST}"}),
    wrong("serverless", "`image` is needed", "name the image with its digest", serverless={"count": 1}),
    wrong("monitoring", "`grafana` shows what `prometheus` collects", "set both, or neither",
          monitoring={"grafana": True}),
    wrong("app_host", "cax21 is offered in fsn1, nbg1, hel1 only", "change `location`", app_host__location="ash"),
    wrong("sessions.0", "`start` has to be earlier than `end`", "write a session over midnight as two",
          sessions=[{"days": ["mon"], "start": "18:00", "end": "09:00"}]),
    wrong("gpu.expected_tailnet_addresses", "100.64.0.1 is expected of two machines", "give each its own",
          gpu__expected_tailnet_addresses=["100.64.0.1", "100.64.0.1"]),
    wrong("object_storage", "`comfyume-staging-cache` is named 2 times", "give each bucket a name of its own",
          object_storage__buckets__user_files=BUCKET),
    wrong("certificate", "has to be the certificate with its chain in PEM form", "`-----BEGIN CERTIFICATE-----` first",
          certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    wrong("certificate", "is for another name", "or correct `domain`", domain="workshop.example.net"),
    wrong("certificate_key", "is not the private key of `certificate`", secret_step("certificate_key"),
          certificate_key=made_up.certificate("staging.workshop.example.org").key.value),
    wrong("certificate_key", "is protected by a passphrase", secret_step("certificate_key"),
          certificate_key="-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + "A" * 64),
    wrong("operator_private_key", "has to be a private key in OpenSSH's form", secret_step("operator_private_key"),
          operator_private_key=f"-----BEGIN {OPENSSH}-----\nAAAA\n-----END {OPENSSH}-----" + " " * 40),
    wrong("operator_private_key", "its public half is missing in `access.public_keys`", "add it there",
          access__public_keys=[PUBLIC_KEY]),
]  # fmt: skip
FOREIGN = [
    Wrong({}, key, "is not read", "remove or rename it", {key: "x"})
    for key in ("docker:host", "gpu", "comfyme:gpu", ":")
]
WRONG = [*UNKNOWN, *TYPES, *RANGES, *FORMS, *MISSING, *TOGETHER, *FOREIGN]
