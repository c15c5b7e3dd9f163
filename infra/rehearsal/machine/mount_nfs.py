#!/usr/bin/python3
"""REHEARSAL: stands in for `mount.nfs`: no server, no NFS; a folder of the rehearsed cloud's storage is bound instead.

Called by `mount -t nfs SERVER:PATH FOLDER -o OPTIONS`. Refuses, in the real one's words, a path that the cloud does
not share with this machine (/rehearsal/storage/exports.json). Options are noted in /rehearsal/machine/nfs.json.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

EXPORTS = Path("/rehearsal/storage/exports.json")
SHARES = Path("/rehearsal/storage/shares")
NOTES = Path("/rehearsal/machine/nfs.json")
REFUSED = 32


def main(arguments: list[str]) -> int:
    """One mount; the exit status is mount's own: 0, or 32 with a line on stderr."""
    source, target, *rest = arguments
    options = [rest[number + 1] for number, word in enumerate(rest) if word == "-o" and number + 1 < len(rest)]
    path = source.partition(":")[2]
    exports = json.loads(EXPORTS.read_text()) if EXPORTS.exists() else {}
    if socket.gethostname() not in exports.get(path, []):
        print(
            f"mount.nfs: mounting {source} failed, reason given by server: No such file or directory", file=sys.stderr
        )
        return REFUSED
    NOTES.write_text(json.dumps({"source": source, "target": target, "options": ",".join(options)}, indent=1))
    share = SHARES / path.strip("/").replace("/", "_")
    return subprocess.run(["mount", "--bind", str(share), target], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
