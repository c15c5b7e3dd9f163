#!/usr/bin/python3
"""REHEARSAL: stands in for `tailscale` on a rehearsed machine; there is no tailnet and nothing leaves this machine.

Knows `up`, `down`, `ip`, `status`, `version` and `set`. The tailnet address is one that the rehearsal gave this machine
on its own network. Arguments are noted in /rehearsal/machine/tailscale.json, a key only as "given".
"""

import json
import sys
from pathlib import Path

STATE = Path("/var/lib/tailscale/tailscaled.state")
NOTES = Path("/rehearsal/machine/tailscale.json")
VERSION = "1.80.0-rehearsal"
KEY_OPTIONS = ("--auth-key", "--authkey")


def main(arguments: list[str]) -> int:
    """One call; the exit status is tailscale's own: 0, or 1 with a line on stderr."""
    words = [word for word in arguments if not word.startswith("--socket")]
    verb, options = (words[0], words[1:]) if words else ("help", [])
    match verb:
        case "up" | "login":
            return up(options)
        case "down" | "logout":
            write(NOTES, {**notes(), "up": False})
            if verb == "logout":
                STATE.unlink(missing_ok=True)
            return 0
        case "ip":
            return tell_address()
        case "status":
            return status("--json" in options)
        case "set" | "serve" | "cert":
            write(NOTES, {**notes(), verb: options})
            return 0
        case "version":
            print(VERSION)
            return 0
    return complain(f"the stand-in for tailscale does not know `{verb}`")


def up(options: list[str]) -> int:
    """Join: needs a key, or the identity of an earlier time."""
    key, kept = without_key(options)
    if not key and not STATE.exists():
        return complain("neither a key nor an identity: on a real machine this would wait for a sign-in in a browser")
    write(NOTES, {**notes(), "up": True, "arguments": kept, "key": "given" if key else "none"})
    if not STATE.exists():
        write(STATE, {"rehearsal": "the identity of this machine in a tailnet that does not exist"})
    return 0


def without_key(options: list[str]) -> tuple[str, list[str]]:
    """The key, read from the file that `file:PATH` names, and the other options."""
    key, kept, rest = "", [], list(options)
    while rest:
        word = rest.pop(0)
        name, separator, value = word.partition("=")
        if name not in KEY_OPTIONS:
            kept.append(word)
            continue
        key = value if separator or not rest else rest.pop(0)
    return (Path(key[5:]).read_text().strip() if key.startswith("file:") else key), kept


def tell_address() -> int:
    """`tailscale ip`: the stand-in's address, once it is up."""
    if not notes().get("up"):
        return complain("no current Tailscale IPs; state: NeedsLogin")
    print(address())
    return 0


def status(as_json: bool) -> int:
    """`tailscale status`: running or not, and who."""
    running = bool(notes().get("up"))
    host = Path("/etc/hostname").read_text().strip()
    if as_json:
        addresses = [address()] if running else []
        own = {"HostName": host, "DNSName": f"{host}.rehearsal.ts.net.", "TailscaleIPs": addresses, "Online": running}
        state = "Running" if running else "NeedsLogin"
        print(
            json.dumps({"Version": VERSION, "BackendState": state, "TailscaleIPs": addresses, "Self": own, "Peer": {}})
        )
        return 0
    if not running:
        print("Logged out.")
        return 1
    print(f"{address()}\t{host}\trehearsal\tlinux\t-")
    return 0


def address() -> str:
    """What the rehearsal gave this machine."""
    return Path("/rehearsal/machine/tailnet-address").read_text().strip()


def notes() -> dict[str, object]:
    """What was noted so far."""
    return dict(json.loads(NOTES.read_text())) if NOTES.exists() else {}


def write(path: Path, data: dict[str, object]) -> None:
    """Write a file as a whole, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1))


def complain(words: str) -> int:
    """One line on stderr, exit status 1."""
    print(words, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
