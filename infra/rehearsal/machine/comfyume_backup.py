#!/usr/bin/python3
"""REHEARSAL: stands in for `comfyume-backup`: archives this machine's folders into the rehearsed cloud's storage.

It really writes, reads back and compares every file by SHA-256, so that what a rehearsal restores is what was there.
No bucket, no retention, no encryption: those belong to the real command. `backup-fails` in /rehearsal/machine makes it
fail. Exit status: 0 done and verified, 1 failed, 3 (restore) no backup exists anywhere.
"""

import argparse
import hashlib
import io
import json
import socket
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("/srv/comfyume", "/etc/comfyume", "/mnt/scratch", "/var/lib/tailscale")
SNAPSHOTS = Path("/rehearsal/storage/backups")
FAILS = Path("/rehearsal/machine/backup-fails")
SKIPPED = ("lost+found",)
NOTHING_TO_RESTORE = 3


def main(arguments: list[str]) -> int:
    """`create --reason R [--json]` or `restore --latest [--json]`."""
    parser = argparse.ArgumentParser(prog="comfyume-backup", description="Rehearsal of the backup command.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create")
    create.add_argument("--reason", required=True)
    restore = verbs.add_parser("restore")
    restore.add_argument("--latest", action="store_true", required=True)
    for verb in (create, restore):
        verb.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    if FAILS.exists():
        print(f"the backup fails, as the rehearsal was told: {FAILS.read_text().strip()}", file=sys.stderr)
        return 1
    return make(chosen.reason) if chosen.verb == "create" else bring_back()


def make(reason: str) -> int:
    """Archive, read back, compare; the manifest is written last and is what makes it a snapshot."""
    name = f"{socket.gethostname()}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}"
    place = SNAPSHOTS / socket.gethostname()
    place.mkdir(parents=True, exist_ok=True)
    part = place / f"{name}.tar.part"
    with tarfile.open(part, "w") as archive:
        files = dict(packed(archive))
    if not files:
        part.unlink()
        print("nothing to back up: none of the folders holds a file", file=sys.stderr)
        return 1
    if contents(part) != files:
        print("the archive does not hold what was written into it", file=sys.stderr)
        return 1
    part.rename(place / f"{name}.tar")
    manifest = {"snapshot": name, "verified": True, "rehearsal": True, "reason": reason, "files": files}
    (place / f"{name}.json").write_text(json.dumps(manifest, indent=1))
    print(json.dumps({**manifest, "files": len(files)}))
    return 0


def packed(archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """Put everything into the archive; gives path and SHA-256 of each file as it was at that moment."""
    for folder in FOLDERS:
        for path in [Path(folder), *sorted(Path(folder).rglob("*"))]:
            if any(part in SKIPPED for part in path.parts):
                continue
            try:
                entry = archive.gettarinfo(path)
                if entry is None:
                    continue  # a socket
                content = path.read_bytes() if entry.isreg() else b""
            except FileNotFoundError:
                continue  # a folder that this kind of machine has not, or a file that just went
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
            if entry.isreg():
                yield str(path), digest(content)


def bring_back() -> int:
    """Write the newest snapshot of this machine's name back, and compare."""
    manifests = sorted((SNAPSHOTS / socket.gethostname()).glob("*.json"))
    if not manifests:
        print(json.dumps({"snapshot": None, "restored": False, "rehearsal": True, "why": "no backup exists anywhere"}))
        return NOTHING_TO_RESTORE
    manifest = json.loads(manifests[-1].read_text())
    with tarfile.open(manifests[-1].with_suffix(".tar")) as archive:
        archive.extractall("/", numeric_owner=True)  # noqa: S202  the archive is our own
    wrong = [path for path, known in manifest["files"].items() if digest(Path(path).read_bytes()) != known]
    if wrong:
        print(f"{len(wrong)} files differ from the snapshot after restoring", file=sys.stderr)
        return 1
    done = {"snapshot": manifest["snapshot"], "restored": True, "verified": True, "rehearsal": True}
    print(json.dumps({**done, "files": len(manifest["files"])}))
    return 0


def contents(archive: Path) -> dict[str, str]:
    """Path and SHA-256 of every file in the archive."""
    with tarfile.open(archive) as opened:
        entries = [(entry, opened.extractfile(entry)) for entry in opened.getmembers() if entry.isfile()]
        return {f"/{entry.name}": digest(stream.read()) for entry, stream in entries if stream}


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
