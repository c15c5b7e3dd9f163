"""The Pulumi CLI: the one on PATH where its version will do, else the released Go module, built once and kept.

What is built is pinned in `engine/go.mod` beside this file and lies in the user's cache, so every checkout shares it.
`python -m infra.rehearsal.engine` makes sure that there is one and prints where.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.rehearsal.caches import cache_folder
from infra.rehearsal.locks import exclusive

_PINS = Path(__file__).with_name("engine")
_OLDEST = (3, 250)
_BROKEN = {(3, 256), (3, 257)}  # cannot write their state to R2
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_BUILD_SECONDS = 1800


class EngineMissing(Exception):
    """There is no Pulumi CLI and no way to build one here. The text is one sentence, good as the reason of a skip."""


def ensure() -> Path:
    """The `pulumi` executable; built first where there is none, which takes minutes once.

    Raises:
        EngineMissing: neither a fitting CLI nor Go is installed, or Go cannot build it here.
    """
    return existing() or _build()


def existing() -> Path | None:
    """The `pulumi` executable if it is there already: on PATH with a fitting version, or built earlier."""
    on_path = shutil.which("pulumi")
    if on_path and _fits(on_path):
        return Path(on_path)
    kept = _kept()
    return kept if kept.exists() else None


def pinned_version() -> str:
    """The version that is built, as `engine/go.mod` has it: `3.259.0`."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (_PINS / "go.mod").read_text())
    assert found is not None
    return found[1]


def quiet_environment(home: Path, state: Path, passphrase: str) -> dict[str, str]:
    """What the CLI needs to stay offline, silent and among the stand-ins of `home`, with its state below `state`.

    `metadata=skip`: the attributes beside each file of a state are not written in one piece, as the file itself is; an
    engine killed meanwhile would leave a state that cannot be loaded any more.
    """
    return {
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": passphrase,
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PULUMI_SUPPRESS_NEO_LINK": "true",
        "PULUMI_CREDENTIAL_STORE": "plaintext",
    }


def _fits(executable: str) -> bool:
    answer = subprocess.run([executable, "version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.match(r"v?(\d+)\.(\d+)\.", answer.stdout)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return version >= _OLDEST and version not in _BROKEN


def _kept() -> Path:
    return cache_folder(f"pulumi-{pinned_version()}") / "pulumi"


def _build() -> Path:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        raise EngineMissing(
            "neither the Pulumi CLI (3.250 or newer, not 3.256 or 3.257) nor Go to build it is installed; install one"
        )
    kept = _kept()
    with exclusive(kept.parent.name):
        if not kept.exists():
            _compile(go, kept)
    return kept


def _compile(go: str, kept: Path) -> None:
    version = pinned_version()
    words = f"Building the Pulumi CLI {version} from its released Go module, once; this takes about five minutes."
    print(words, file=sys.stderr, flush=True)
    new = kept.with_name(f"pulumi.{os.getpid()}.new")
    stamp = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    flags = ["-mod=readonly", "-buildvcs=false", "-trimpath", "-tags", "osusergo,grpcnotrace", "-ldflags", stamp]
    try:
        subprocess.run(
            [go, "build", *flags, "-o", str(new), _PACKAGE],
            cwd=_PINS,
            env={**os.environ, "GOWORK": "off"},
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise EngineMissing(f"there is no Pulumi CLI, and Go did not finish building {version}") from None
    except subprocess.CalledProcessError as failed:
        last = (failed.stderr.strip().splitlines() or ["no output"])[-1]
        raise EngineMissing(f"there is no Pulumi CLI, and Go could not build {version} here: {last}") from None
    new.rename(kept)
    print(f"The Pulumi CLI {version} is ready.", file=sys.stderr, flush=True)


def main() -> None:
    try:
        print(ensure())
    except EngineMissing as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
