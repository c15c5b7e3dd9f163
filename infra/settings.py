"""The settings of one stack: the only reader of Pulumi's configuration.

Everything wrong is found before anything is registered, and all of it at once: unknown keys, wrong values, missing
secrets, secrets that stand in plain text. The sections are in `infra/settings_sections.py`.
"""

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, get_args

import pulumi
from pulumi.runtime import config as pulumi_config
from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from infra.settings_sections import (
    AccessSettings,
    AppHostSettings,
    DnsSettings,
    DomainName,
    GpuSettings,
    ImageOverrides,
    LimitsSettings,
    MonitoringSettings,
    ObjectStorageSettings,
    ParticipantSettings,
    ProtectionSettings,
    QueueSettings,
    Section,
    ServerlessSettings,
    SessionSettings,
    SharedFilesystemSettings,
    StaffSettings,
)
from services.domain.errors import InvalidInput
from services.domain.names import Name

NAMESPACE = "comfyume"
RESERVED_NAMES = frozenset({"admin", "api", "health", "sign-in", "sign-out"})
"""Addresses of the front door that no participant may have as a name."""

_PEM = r"^-----BEGIN CERTIFICATE-----\n[\s\S]+-----END CERTIFICATE-----\n?$"
Certificate = Annotated[str, StringConstraints(pattern=_PEM)]


class SettingsRefused(InvalidInput):
    """The stack file is wrong; nothing was touched. `problems` has one sentence a key, each with the next step."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        super().__init__("\n".join([f"{count} wrong; nothing was touched.", *(f"  {line}" for line in self.problems)]))


class StackSettings(Section):
    """Everything in which one stack may differ from another."""

    domain: DomainName = Field(description="The name that people type; its address record points to the app host.")
    workshop_title: str = Field(default="ComfyuME", min_length=1, max_length=60, description="On the landing page.")
    certificate: Certificate = Field(description="The domain's certificate with its chain, PEM.")
    app_host: AppHostSettings = AppHostSettings()
    access: AccessSettings
    dns: DnsSettings
    object_storage: ObjectStorageSettings
    participants: dict[Name, ParticipantSettings] = Field(
        description="Who has a web UI. Adding or removing a name touches nobody else."
    )
    staff: dict[Name, StaffSettings] = Field(description="Instructors and operators, who see the console.")
    gpu: GpuSettings = GpuSettings()
    shared_filesystem: SharedFilesystemSettings | None = Field(
        default=None, description="The volume with the models that all GPU hosts share; None: no GPU hosts either."
    )
    serverless: ServerlessSettings = ServerlessSettings()
    queue: QueueSettings = QueueSettings()
    limits: LimitsSettings = LimitsSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    image_overrides: ImageOverrides = ImageOverrides()
    protection: ProtectionSettings = ProtectionSettings()
    session_key: int = Field(
        default=1, ge=1, description="Count it up to sign sessions with a new key; the one before stays valid."
    )
    sessions: list[SessionSettings] = Field(default=[], description="When people work; updates are refused then.")
    backup_recipient: str | None = Field(
        default=None,
        pattern=r"^age1[a-z0-9]{58}$",
        description="Public age key; secrets in backups are encrypted for it.",
    )

    hcloud_token: SecretStr = Field(min_length=8, description="Hetzner Cloud: read and write in one project.")
    cloudflare_api_token: SecretStr = Field(min_length=8, description="Cloudflare: R2, DNS of the zone, tokens.")
    operator_private_key: SecretStr = Field(min_length=64, description="Private SSH key that deployments log in with.")
    certificate_key: SecretStr = Field(min_length=64, description="Private key of `certificate`, PEM.")
    tailscale_auth_key: SecretStr = Field(min_length=8, description="Lets machines join the tailnet.")
    verda_client_id: SecretStr | None = Field(default=None, min_length=4)
    verda_client_secret: SecretStr | None = Field(default=None, min_length=8)
    verda_inference_key: SecretStr | None = Field(default=None, min_length=8)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        problems = [f"participants.{name}: is an address of the front door; choose another name"
                    for name in sorted(RESERVED_NAMES & (set(self.participants) | set(self.staff)))]  # fmt: skip
        problems += [
            f"staff.{name}: is a participant as well; give the two different names"
            for name in sorted(set(self.participants) & set(self.staff))
        ]
        wants_verda = self.gpu.count or self.serverless.count or self.shared_filesystem
        if wants_verda and not (self.verda_client_id and self.verda_client_secret):
            problems.append(
                "verda_client_id, verda_client_secret: are needed for gpu, serverless and shared_filesystem; set both "
                "with `pulumi config set --secret`"
            )
        if self.serverless.count and not self.verda_inference_key:
            problems.append("verda_inference_key: is needed for serverless; set it with `pulumi config set --secret`")
        if self.gpu.count and self.shared_filesystem is None:
            problems.append("shared_filesystem: is needed as soon as gpu.count is above 0; set its size_gb or adopt_id")
        if not any(person.role == "operator" for person in self.staff.values()):
            problems.append("staff: needs at least one operator; add one, for example `ops: {role: operator}`")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @classmethod
    def load(cls) -> "StackSettings":
        """The settings of the stack that Pulumi runs for.

        Raises:
            SettingsRefused: with every wrong key; nothing has been registered yet.
        """
        raw = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
        secret = {key for key in raw if pulumi_config.is_config_secret(key)}
        secret |= set(pulumi_config.get_config_secret_keys_env())
        return cls.parse(raw, secret)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], secret_keys: Iterable[str]) -> "StackSettings":
        """Settings from `comfyume:key` -> value, where sections are JSON text as Pulumi hands them over.

        Raises:
            SettingsRefused: with every wrong key.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        for full_key, value in raw.items():
            namespace, _, key = full_key.partition(":")
            if namespace == "pulumi":
                continue
            if namespace != NAMESPACE:
                problems.append(f"{full_key}: this stack reads settings of `{NAMESPACE}:` only; remove it.")
                continue
            values[key] = _decoded(cls, key, value)
        problems += _in_plain_text(cls, values, set(secret_keys))
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += [sentence for detail in error.errors() for sentence in _sentences(cls, detail)]
        if problems:
            raise SettingsRefused(problems)
        return settings


def load_for(stack: str, project: str = NAMESPACE) -> StackSettings:
    """`StackSettings.load`, with what is wrong shown as Pulumi shows errors of the program."""
    if project != NAMESPACE:
        raise SettingsRefused([f"name in Pulumi.yaml: is `{project}`; the settings are read from `{NAMESPACE}:`."])
    try:
        return StackSettings.load()
    except SettingsRefused as refused:
        raise pulumi.RunError(f"Pulumi.{stack}.yaml: {refused.message}") from None


def _decoded(model: type[StackSettings], key: str, value: Any) -> Any:
    """Sections and lists arrive as JSON text; plain text stays what it is."""
    field = model.model_fields.get(key)
    if not isinstance(value, str) or field is None or _is_text(field.annotation):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _is_text(annotation: Any) -> bool:
    kinds = [annotation, *get_args(annotation)]
    return any(kind in (str, SecretStr) for kind in kinds) and not any(
        isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds
    )


def _in_plain_text(model: type[StackSettings], values: Mapping[str, Any], secret_keys: set[str]) -> list[str]:
    return [
        f"{NAMESPACE}:{name}: stands in the stack file in plain text; revoke it, then set the new one with "
        f"`pulumi config set --secret {NAMESPACE}:{name}`."
        for name, field in model.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
        and values.get(name)
        and f"{NAMESPACE}:{name}" not in secret_keys
        and f"PULUMI_CONFIG_{NAMESPACE.upper()}_{name.upper()}" not in os.environ
    ]


def _sentences(model: type[BaseModel], detail: ErrorDetails) -> list[str]:
    """What is wrong in the words of the stack file, without the value of anything secret."""
    path = [str(part) for part in detail["loc"] if not _is_branch(part)]
    where = f"{NAMESPACE}:{'.'.join(path)}"
    kind = detail["type"]
    if kind == "extra_forbidden":
        return [f"{where}: is not a setting; {_allowed_here(model, path)}"]
    if kind == "missing":
        return [f"{where}: is missing; {_how_to_set(model, path)}"]
    if kind == "value_error":
        text = str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
        prefix = f"{NAMESPACE}:" if not path else f"{where}: "
        return [f"{prefix}{line}." for line in text.splitlines()]
    return [f"{where}: {_reason(detail)}; {_how_to_set(model, path)}"]


def _is_branch(part: Any) -> bool:
    """Pydantic names the branch of a union in the path; the stack file has no such level."""
    if not isinstance(part, str):
        return False
    return part.startswith(("constrained-", "function-", "[key]")) or part in ("str", "none")


def _reason(detail: ErrorDetails) -> str:
    context = detail.get("ctx") or {}
    if detail["type"] == "literal_error":
        return f"takes one of {context['expected']}"
    if detail["type"] == "string_pattern_mismatch":
        return f"does not have the form {context['pattern']}"
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _field(model: type[BaseModel], path: list[str]) -> tuple[type[BaseModel] | None, Any]:
    """The section that holds the last part of `path`, and its field if there is one."""
    section: type[BaseModel] | None = model
    field = None
    for position, part in enumerate(path):
        if section is None:
            return None, None
        field = section.model_fields.get(part)
        if position == len(path) - 1:
            return section, field
        section = _section_of(field.annotation if field else None)
        # A dictionary's keys are names; the level below is the section of its values.
        if field is not None and "dict" in str(field.annotation) and position + 2 < len(path):
            return _field(section, path[position + 2 :]) if section else (None, None)
    return section, field


def _section_of(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        if get_args(kind):
            found = _section_of(kind)
            if found:
                return found
    return None


def _allowed_here(model: type[BaseModel], path: list[str]) -> str:
    section, _ = _field(model, path)
    names = sorted(section.model_fields) if section else []
    close = difflib.get_close_matches(path[-1], names, n=1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    return f"{meant}Here are allowed: {', '.join(names)}."


def _how_to_set(model: type[BaseModel], path: list[str]) -> str:
    _, field = _field(model, path)
    if field is None:
        return "see infra/README.md."
    if SecretStr in (field.annotation, *get_args(field.annotation)):
        return f"set it with `pulumi config set --secret {NAMESPACE}:{path[0]}`."
    return (field.description or "see infra/README.md").rstrip(".") + "."
