#!/usr/bin/python3
"""REHEARSAL: stands in for `comfyume-backup`: archives this machine's folders into the rehearsed cloud's storage.

It really writes, reads back and compares every file by SHA-256, so that what a rehearsal restores is what was there.
No bucket, no retention, no encryption: those belong to the real command. `backup-fails` in /rehearsal/machine makes it
fail. Exit status: 0 done and verified, 1 failed, 3 (restore) no backup exists anywhere.
"""

import argparse
import hashlib
import json
import socket
import sys
import tarfile
import time
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
    files = {str(path): digest(path.read_bytes()) for folder in FOLDERS for path in files_below(Path(folder))}
    if not files:
        print("nothing to back up: none of the folders holds a file", file=sys.stderr)
        return 1
    name = f"{socket.gethostname()}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}"
    place = SNAPSHOTS / socket.gethostname()
    place.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place / f"{name}.tar.part", "w") as archive:
        for folder in FOLDERS:
            if Path(folder).exists():
                archive.add(folder, filter=lambda entry: None if Path(entry.name).name in SKIPPED else entry)
    (place / f"{name}.tar.part").rename(place / f"{name}.tar")
    if contents(place / f"{name}.tar") != files:
        print("the archive does not hold what was read: the machine's files changed meanwhile", file=sys.stderr)
        return 1
    manifest = {"snapshot": name, "verified": True, "rehearsal": True, "reason": reason, "files": files}
    (place / f"{name}.json").write_text(json.dumps(manifest, indent=1))
    print(json.dumps({**manifest, "files": len(files)}))
    return 0


def bring_back() -> int:
    """Write the newest snapshot of this machine's name back, and compare."""
    manifests = sorted((SNAPSHOTS / socket.gethostname()).glob("*.json"))
    if not manifests:
        print(json.dumps({"snapshot": None, "restored": False, "rehearsal": True, "why": "no backup exists anywhere"}))
        return NOTHING_TO_RESTORE
    manifest = json.loads(manifests[-1].read_text())
    with tarfile.open(manifests[-1].with_suffix(".tar")) as archive:
        archive.extractall("/", filter="tar")
    wrong = [path for path, known in manifest["files"].items() if digest(Path(path).read_bytes()) != known]
    if wrong:
        print(f"{len(wrong)} files differ from the snapshot after restoring", file=sys.stderr)
        return 1
    done = {"snapshot": manifest["snapshot"], "restored": True, "verified": True, "rehearsal": True}
    print(json.dumps({**done, "files": len(manifest["files"])}))
    return 0


def files_below(folder: Path) -> list[Path]:
    """Every regular file of a folder that belongs into a snapshot."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in found if not any(part in SKIPPED for part in path.parts)]


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
