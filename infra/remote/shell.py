"""Shell text that survives hostile values: quoting, a common opening and closing, here-documents.

Every script made here is POSIX sh, stops at the first error, is safe to run again, and ends with one line that says
`NAME: unchanged` or `NAME: changed (what)`. What the scripts do is `ensure.py`'s business.
"""

import hashlib
import re
import shlex

from services.domain.errors import InvalidInput

LONGEST_SCRIPT = 100_000
"""Bytes. Linux takes at most 128 KiB as one argument, and sshd hands the whole script over as one."""

PRELUDE = """\
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
changes=''
temporary=''
trap 'test -z "$temporary" || rm -f -- "$temporary"' EXIT
note() { changes="${changes:+$changes, }$1"; }
fail() { printf '%s: %s\\n' "$step" "$*" >&2; exit 1; }
"""

PUT_FILE = """\
# put_file PATH MODE OWNER: takes over standard input as the file's content, atomically, and only where it differs.
put_file() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    rmdir -- "$1" 2>/dev/null || fail "$1 is a directory with something in it where a file is due: move it away"
    note "$1 was an empty directory"
  fi
  temporary=$(mktemp -- "$(dirname -- "$1")/.comfyume-XXXXXX")
  cat > "$temporary"
  [ -s "$temporary" ] || fail "nothing arrived for $1, and an empty file is never put in place: is the secret set?"
  [ -z "${4:-}" ] || printf '%s  %s\\n' "$4" "$temporary" | sha256sum --check --status ||
    fail "only a part of $1 arrived: run the step again"
  chown -- "$3" "$temporary"
  chmod -- "$2" "$temporary"
  if [ -f "$1" ] && [ ! -L "$1" ] && cmp -s -- "$temporary" "$1" &&
    [ "$(stat -c '%a %u:%g' -- "$1")" = "$(stat -c '%a %u:%g' -- "$temporary")" ]; then
    rm -f -- "$temporary"
  else
    mv -fT -- "$temporary" "$1"
    note "$1"
  fi
  temporary=''
}
"""


CLOSING = """\
if [ -n "$changes" ]; then printf '%s: changed (%s)\\n' "$step" "$changes"; else printf '%s: unchanged\\n' "$step"; fi
"""


def quote(value: str) -> str:
    """`value` as one word of shell text, whatever is in it.

    Raises InvalidInput for a NUL, which no shell word can hold.
    """
    if "\0" in value:
        raise InvalidInput("a value for a machine contains a NUL character, which no shell takes: remove it")
    return shlex.quote(value)


def heredoc(command: str, content: str) -> str:
    """`command` with `content` as its standard input, every character literal; ends with a newline as text files do."""
    marker = f"END_{hashlib.sha256(content.encode()).hexdigest()[:16].upper()}"
    if "\0" in content:
        raise InvalidInput("a file for a machine contains a NUL character: only text is sent this way")
    return f"{command} <<'{marker}'\n{content.removesuffix(chr(10))}\n{marker}\n"


def put_text(path: str, content: str, *, mode: str = "0644", owner: str = "root:root") -> str:
    """Shell text that puts a file of known, public content in place; for use inside `script`."""
    return heredoc(f"put_file {quote(path)} {checked_mode(mode)} {checked_owner(owner)}", content)


def script(name: str, body: str, *, reads_stdin: bool = False, reports: bool = True) -> str:
    """A whole script: the common opening, `body`, and the closing line that says what changed.

    `reads_stdin` keeps standard input for the body (a secret arrives there); everywhere else it is closed, so that no
    program on the machine can swallow or wait for it. `reports=False`: the body prints its own last line.
    """
    step = checked_name(name, "a step")
    parts = [PRELUDE, f"step='{step}'\n"]
    if "put_file " in body:
        parts.append(PUT_FILE)
    if not reads_stdin:
        parts.append("exec </dev/null\n")
    parts.append(body.strip("\n") + "\n")
    if reports:
        parts.append(CLOSING)
    text = "".join(parts)
    if len(text.encode()) > LONGEST_SCRIPT:
        raise InvalidInput(f"the step {name} is longer than {LONGEST_SCRIPT} bytes: send its files over standard input")
    return text


def checked_mode(mode: str) -> str:
    """A file mode as four octal digits, such as 0640. Raises InvalidInput for anything else."""
    if not re.fullmatch(r"[0-7]{4}", mode):
        raise InvalidInput(f"mode is {mode!r}: give four octal digits, such as 0640")
    return mode


def checked_owner(owner: str) -> str:
    """An owner as `user:group`, by name or number, quoted. Raises InvalidInput for anything else."""
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_-]*:[a-z0-9_][a-z0-9_-]*", owner):
        raise InvalidInput(f"owner is {owner!r}: give user:group, such as 10001:10001")
    return quote(owner)


def checked_path(path: str) -> str:
    """An absolute path without `..`, quoted. Raises InvalidInput for anything else."""
    if not path.startswith("/") or ".." in path.split("/") or "\n" in path:
        raise InvalidInput(f"path is {path!r}: give an absolute path without ..")
    return quote(path)


def checked_name(name: str, what: str) -> str:
    """A name of a unit, user or package, quoted; it can be no option. Raises InvalidInput for anything else."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", name):
        raise InvalidInput(f"{what} is {name!r}: letters, digits and . _ @ + - only, and no - in front")
    return quote(name)
