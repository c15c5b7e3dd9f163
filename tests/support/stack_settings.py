"""The committed stack files with made-up secrets that fit together, and small changes to them."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from infra.rehearsal import made_up

ROOT = Path(__file__).resolve().parents[2]
SECRETS = (
    "hcloud_token", "cloudflare_api_token", "operator_private_key", "certificate_key", "tailscale_auth_key",
    "verda_client_id", "verda_client_secret",
)  # fmt: skip
ABSENT = object()
"""As a value: the setting is not there."""

Raw = dict[str, str]


@cache
def committed(stack: str) -> dict[str, Any]:
    """The settings of a committed stack file with secrets, by full key; do not change."""
    config: dict[str, Any] = YAML(typ="safe").load(ROOT / f"Pulumi.{stack}.yaml")["config"]
    keys, certificate = made_up.ssh_keys(), made_up.certificate(config["comfyume:domain"])
    config["comfyume:access"]["public_keys"] = [keys.public]
    config["comfyume:certificate"] = certificate.certificate
    secrets = {name: made_up.token(length=48).value for name in SECRETS}
    secrets |= {"operator_private_key": keys.private.value, "certificate_key": certificate.key.value}
    return config | {f"comfyume:{name}": value for name, value in secrets.items()}


def changed(stack: str, **changes: Any) -> dict[str, Any]:
    """`committed` with changes: `gpu__count=2` reaches into a section, `ABSENT` takes a setting away."""
    config = copy.deepcopy(committed(stack))
    for name, value in changes.items():
        first, *others = name.split("__")
        place, names = config, [f"comfyume:{first}", *others]
        for step in names[:-1]:
            place = place.setdefault(step, {})
        if value is ABSENT:
            del place[names[-1]]
        else:
            place[names[-1]] = value
    return config


def as_pulumi_hands_them_over(config: dict[str, Any]) -> Raw:
    """Text by full key: sections and numbers as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


def secret_keys() -> set[str]:
    """The full keys that are encrypted in the stack file."""
    return {f"comfyume:{name}" for name in SECRETS}
