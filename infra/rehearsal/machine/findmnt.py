#!/usr/bin/python3
"""REHEARSAL: `findmnt` that names a share by its server, as it does where the mount is really NFS.

The stand-in for `mount.nfs` binds a folder instead; asked for the source of that mount point, this one gives what was
asked to be mounted. Everything else is the real command's.
"""

import json
import os
import sys
from pathlib import Path

NOTES = Path("/rehearsal/machine/nfs.json")
REAL = "/usr/bin/findmnt"


def main(arguments: list[str]) -> None:
    """`findmnt -n -o SOURCE --mountpoint FOLDER` for the share's folder; never returns otherwise."""
    if "SOURCE" in arguments and NOTES.exists():
        note = json.loads(NOTES.read_text())
        if note["target"] == arguments[-1] and mounted(note["target"]):
            print(note["source"])
            return
    os.execv(REAL, [REAL, *arguments])  # noqa: S606


def mounted(target: str) -> bool:
    """Whether anything is mounted there; a folder bound from the same disk looks like none to `os.path.ismount`."""
    return any(line.split()[4] == target for line in Path("/proc/self/mountinfo").read_text().splitlines())


if __name__ == "__main__":
    main(sys.argv[1:])
