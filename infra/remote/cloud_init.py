"""The app host's first boot as cloud-init reads it: short, without secrets, and checked before a machine is rented."""

from collections.abc import Iterable
from io import StringIO

from ruamel.yaml import YAML

from infra.remote.bootstrap import PACKAGES
from infra.remote.ensure.access import ensure_authorized_keys
from infra.remote.ensure.system import DOCKER_KEY, TAILSCALE_KEY
from infra.templating import render
from services.domain.errors import InvalidInput

LONGEST_USER_DATA = 32 * 1024
"""Bytes that Hetzner takes."""

DISTRIBUTIONS = ("debian", "ubuntu")
VENDORS_PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "tailscale")


def render_cloud_init(public_keys: Iterable[str], *, distribution: str) -> str:
    """The `user_data` of the app host. `distribution` is `debian` or `ubuntu`: the vendors' packages differ.

    Raises InvalidInput for keys that are no public keys, another distribution, or a text above Hetzner's 32 KiB.
    """
    keys = [key.strip() for key in public_keys]
    ensure_authorized_keys(keys)
    if distribution not in DISTRIBUTIONS:
        raise InvalidInput(f"distribution is {distribution!r}: one of {', '.join(DISTRIBUTIONS)} is due")
    text = render(
        "cloud_init/app_host.yaml.j2",
        authorized_keys=keys,
        distribution=distribution,
        docker_key=DOCKER_KEY,
        tailscale_key=TAILSCALE_KEY,
        packages=[*PACKAGES, *VENDORS_PACKAGES],
    )
    YAML(typ="safe").load(StringIO(text))
    if len(text.encode()) > LONGEST_USER_DATA:
        raise InvalidInput(f"the first boot's text is longer than {LONGEST_USER_DATA} bytes: give fewer public keys")
    return text
