"""Which engine runs, where the state lives and what opens it, checked before anything starts.

The engine is the CLI of `infra/rehearsal/engine.py`: from PATH, or built; never 3.256 or 3.257, which cannot write R2.
"""

import getpass
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pulumi import automation

from infra.rehearsal import engine
from infra.repository import REPOSITORY
from services.domain.errors import InvalidInput, Unavailable

WHERE = (
    "PULUMI_BACKEND_URL: is not set; say where the state lives: file:///home/me/state, or "
    "'s3://BUCKET?endpoint=https://ACCOUNT.eu.r2.cloudflarestorage.com&region=auto&s3ForcePathStyle=true'."
)
PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def check_environment() -> None:
    """See that the state can be found and opened; ask a person for the passphrase.

    Raises:
        InvalidInput: naming the variable that is missing.
    """
    address = os.environ.get("PULUMI_BACKEND_URL", "")
    if not address:
        raise InvalidInput(WHERE)
    if not address.startswith(("file://", "s3://", "gs://", "azblob://")):
        raise InvalidInput(
            "PULUMI_BACKEND_URL: has to begin with file:// or s3://; this workshop needs no Pulumi Cloud."
        )
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if address.startswith("s3://") and not (all(os.environ.get(key) for key in keys) or os.environ.get("AWS_PROFILE")):
        raise InvalidInput(f"{', '.join(keys)}: are not set; they are the R2 token of the bucket with the state.")
    if any(name in os.environ for name in PASSPHRASES):
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{PASSPHRASES[0]}: is not set; it opens the secrets of the stack file and of the state.")
    os.environ[PASSPHRASES[0]] = getpass.getpass("Passphrase of the stack: ")


@contextmanager
def engine_command() -> Iterator[automation.PulumiCommand]:
    """The CLI, with a launcher beside it that runs dynamic resources by this very Python.

    Raises:
        Unavailable: there is no CLI, and none can be built here.
    """
    try:
        executable = engine.ensure()
    except engine.EngineMissing as missing:
        raise Unavailable(f"{missing}.") from None
    with tempfile.TemporaryDirectory(prefix="comfyume-engine-") as folder:
        programs = Path(folder) / "bin"
        programs.mkdir()
        (programs / "pulumi").symlink_to(executable)
        launcher = programs / "pulumi-resource-pulumi-python"
        words = shlex.join([sys.executable, "-u", "-m", "pulumi.dynamic"])
        path = f"PYTHONPATH={shlex.quote(str(REPOSITORY))}${{PYTHONPATH:+:$PYTHONPATH}}"
        launcher.write_text(f'#!/bin/sh\n{path} exec {words} "$@"\n')
        launcher.chmod(0o755)
        yield automation.PulumiCommand(root=folder, skip_version_check=True)
