"""The operator's private key as a file: Docker's provider starts `ssh`, which takes keys from files only."""

import hashlib
import os
from pathlib import Path

from pydantic import SecretStr


def private_key_file(stack: str, key: SecretStr) -> str:
    """A file that only this user can read, as `~/...`: ssh itself puts the user's home in place of the tilde.

    The path is an input of the Docker provider, so it has to read the same for every operator and in CI. Each key has a
    file of its own: a rehearsal of the stack at the same time, with a made-up key, takes nothing from a deployment.
    """
    content = key.get_secret_value().rstrip("\n") + "\n"
    path = f"~/.cache/comfyume/{stack}-operator-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    file = Path(path).expanduser()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != content:
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_text(content)
        temporary.replace(file)
    return path
