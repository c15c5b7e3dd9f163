"""The settings of one stack: the only reader of Pulumi's configuration.

Everything wrong is found before anything is registered, and all of it at once: unknown keys, wrong values, missing
secrets, secrets in plain text, settings that do not fit together. The sections are in `infra/settings_sections.py`, the
rules over several keys in `infra/settings_rules.py`, the sentences in `infra/settings_refusals.py`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args

import pulumi
from pulumi.runtime import config as pulumi_config
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError

from infra.settings_refusals import NAMESPACE, SettingsRefused, foreign_key, in_plain_text, is_secret, sentences
from infra.settings_rules import broken_rules
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
    form,
)
from services.domain.names import Name

__all__ = ["NAMESPACE", "SettingsRefused", "StackSettings", "load_for"]


class StackSettings(Section):
    """Everything in which one stack may differ from another."""

    domain: DomainName = Field(description="The name that people type; its address record points to the app host.")
    workshop_title: str = Field(default="ComfyuME", min_length=1, max_length=60, description="On the landing page.")
    certificate: str = Field(description="The domain's certificate with its chain, PEM.")
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
    backup_recipient: Annotated[str, form(r"age1[a-z0-9]{58}", "`age1...`, as `age-keygen -y` prints it")] | None = (
        Field(default=None, description="Public age key; secrets in backups are encrypted for it.")
    )

    hcloud_token: SecretStr = Field(min_length=8, description="Hetzner Cloud: read and write in one project.")
    cloudflare_api_token: SecretStr = Field(min_length=8, description="Cloudflare: R2, DNS of the zone, tokens.")
    operator_private_key: SecretStr = Field(min_length=64, description="Private SSH key that deployments log in with.")
    certificate_key: SecretStr = Field(min_length=64, description="Private key of `certificate`, PEM.")
    tailscale_auth_key: SecretStr = Field(min_length=8, description="Lets machines join the tailnet.")
    verda_client_id: SecretStr | None = Field(default=None, min_length=4, description="Verda's API: who asks.")
    verda_client_secret: SecretStr | None = Field(default=None, min_length=8, description="Verda's API: the password.")
    verda_inference_key: SecretStr | None = Field(
        default=None, min_length=8, description="Calls serverless containers."
    )

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
        problems, values = _own_values(cls, raw)
        problems += _in_plain_text(cls, values, set(secret_keys))
        try:
            settings = cls.model_validate_json(json.dumps(values))
        except ValidationError as error:
            problems += [sentence for detail in error.errors() for sentence in sentences(cls, detail)]
            problems += _broken(_right_alone(cls, values))
            raise SettingsRefused(problems) from None
        problems += _broken({name: getattr(settings, name) for name in cls.model_fields})
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


def _own_values(model: type[StackSettings], raw: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    problems, values = [], {}
    for full_key, value in raw.items():
        namespace, _, key = full_key.partition(":")
        if namespace == NAMESPACE:
            values[key] = _decoded(model, key, value)
        elif namespace != "pulumi":
            problems.append(foreign_key(full_key))
    return problems, values


def _decoded(model: type[StackSettings], key: str, value: Any) -> Any:
    """Sections and lists arrive as JSON text; plain text stays what it is."""
    field = model.model_fields.get(key)
    if not isinstance(value, str) or field is None or _is_text(field.annotation):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _is_text(annotation: Any) -> bool:
    """Whether a setting is one text, which may be an `Annotated` one or none at all."""
    kinds = [annotation, *get_args(annotation)]
    inner = [kind for outer in kinds for kind in get_args(outer)]
    is_group = any(isinstance(kind, type) and issubclass(kind, BaseModel | dict | list) for kind in kinds + inner)
    return any(kind in (str, SecretStr) for kind in kinds + inner) and not is_group


def _in_plain_text(model: type[StackSettings], values: Mapping[str, Any], secret_keys: set[str]) -> list[str]:
    return [
        in_plain_text(name)
        for name, field in model.model_fields.items()
        if is_secret(field.annotation)
        and values.get(name)
        and f"{NAMESPACE}:{name}" not in secret_keys
        and f"PULUMI_CONFIG_{NAMESPACE.upper()}_{name.upper()}" not in os.environ
    ]


def _right_alone(model: type[StackSettings], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are right by themselves, so that the rules over several keys can be looked at all the same."""
    right: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name not in values:
            if not field.is_required():
                right[name] = field.get_default(call_default_factory=True)
            continue
        kind: Any = Annotated[field.annotation, field]
        try:
            right[name] = TypeAdapter(kind).validate_json(json.dumps(values[name]), strict=True)
        except ValidationError:
            continue
    return right


def _broken(known: Mapping[str, Any]) -> list[str]:
    return [f"{NAMESPACE}:{problem}" for problem in broken_rules(known)]
