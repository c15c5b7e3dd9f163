"""`ssh` and `ssh-keyscan` for a rehearsal without machines: each address has a host key, and every backup is verified.

Two small programs in a folder of their own, put first on the PATH of the engine and its plugins. What `ssh` was asked
for is written down beside them (`asked.log`); a file `refuse` there makes it fail, as a machine does that is dead.
"""

from pathlib import Path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIImaginedImaginedImaginedImaginedImaginedIma"

_KEYSCAN = f"""#!/bin/sh
for address; do :; done
echo "$address {KEY}"
"""

_SSH = """#!/bin/sh
here=$(dirname "$0")
for command; do :; done
echo "$command" >> "$here/asked.log"
[ ! -e "$here/refuse" ] || exit 255
case $command in comfyume-backup*) echo '{"snapshot": "imagined", "verified": true}' ;; esac
"""


def install(folder: Path) -> Path:
    """Write both programs into `folder`, and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("ssh-keyscan", _KEYSCAN), ("ssh", _SSH)):
        program = folder / name
        program.write_text(text)
        program.chmod(0o755)
    return folder
