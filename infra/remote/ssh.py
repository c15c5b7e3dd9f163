"""One command on a machine over the system's own `ssh`, with exactly one key and exactly one host key.

Nothing of the operator's SSH configuration, agent or known hosts takes part, so that a run behaves the same everywhere.
Trust in the host key is `host_key.py`'s business; what the command does is the caller's.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from services.domain.errors import InvalidInput, Unavailable

CONNECT_SECONDS = 15
CONNECTION_FAILED = 255
"""The status with which `ssh` itself says that there was no session; a remote command should not use it."""

HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})")
ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")
USER = re.compile(r"[a-z_][a-z0-9_-]*")


def run(
    host: str, command: str, *, private_key: str, host_key: str, stdin: bytes = b"", timeout: float,
    user: str = "root", port: int = 22,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Run `command` on `host` and give its status, output and error output, whatever the status is.

    `private_key` is an OpenSSH PEM, `host_key` the type and key as in authorized_keys, `timeout` seconds for the whole.
    Raises InvalidInput for a malformed address or key, Unavailable where no session came about or the time ran out;
    neither names a secret, nor the command.
    """
    _check(host, user, host_key)
    with tempfile.TemporaryDirectory(prefix="comfyume-ssh-") as folder:
        identity = Path(folder) / "identity"
        identity.touch(mode=0o600)
        identity.write_text(private_key.replace("\r\n", "\n").rstrip("\n") + "\n")
        try:
            done = subprocess.run(
                [*_options(identity, host_key, port), "--", f"{user}@{host}", command],
                input=stdin, capture_output=True, timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"{host} did not finish within {timeout:.0f} s: look at the machine, then retry"
            ) from None
    if done.returncode == CONNECTION_FAILED:
        raise Unavailable(f"no SSH session with {host}: {_last_line(done.stderr)}")
    return done


def _check(host: str, user: str, host_key: str) -> None:
    if not ADDRESS.fullmatch(host):
        raise InvalidInput("host is no address: give an IP address or a name")
    if not USER.fullmatch(user):
        raise InvalidInput("user is no login name")
    if not HOST_KEY.fullmatch(host_key.strip()):
        raise InvalidInput(f"the host key of {host} is malformed: give its type and key, such as 'ssh-ed25519 AAAA...'")


def _options(identity: Path, host_key: str, port: int) -> list[str]:
    settings = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "KnownHostsCommand": f"/bin/echo %H {host_key.strip()}",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": "15",
        "ClearAllForwardings": "yes",
        "LogLevel": "ERROR",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "/dev/null", "-T", "-i", str(identity), "-p", str(port), *options]


def _last_line(stderr: bytes) -> str:
    """What `ssh` said last, without the temporary file that it may name."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    said = lines[-1] if lines else "it said nothing"
    return re.sub(r"/\S*comfyume-ssh-\S*", "the key", said)[:300]
