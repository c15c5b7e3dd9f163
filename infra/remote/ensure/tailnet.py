"""The step that joins the tailnet. Its identity has to be back before: a machine that joins without it is a new one."""

from infra.remote.shell import checked_name, quote, script
from infra.remote.steps import Step

AUTH_KEY = "tailnet_auth_key"
"""Name of the secret that is piped into the step."""

JOIN = """\
key=$(cat)
command -v tailscale >/dev/null || fail 'the program tailscale is missing'
systemctl is-enabled --quiet tailscaled || { systemctl enable --quiet tailscaled >&2; note 'enabled at boot'; }
systemctl is-active --quiet tailscaled || { systemctl start tailscaled; note 'daemon started'; }
running() { tailscale status --json 2>/dev/null | jq -e '.BackendState == "Running"' >/dev/null; }
if ! running; then
  set -- up --ssh=false "--hostname=$name" --timeout=120s
  if [ -n "$key" ]; then
    # The key goes through memory only: never through an argument that `ps` shows, never onto a disk.
    for memory in /run /dev/shm; do
      case $(stat -f -c %T "$memory") in tmpfs|ramfs) break ;; esac
      memory=''
    done
    [ -n "$memory" ] || fail 'neither /run nor /dev/shm lies in memory: the key has no place to pass through'
    temporary=$(mktemp -- "$memory/comfyume-join-XXXXXX")
    printf '%s\\n' "$key" > "$temporary"
    set -- "$@" "--auth-key=file:$temporary"
  fi
  key=''
  tailscale "$@" >&2 ||
    fail 'joining failed. No key was given and no identity was restored, or the key has expired, or the machine was
deleted in the tailnet: make a new auth key and set it in the stack file'
  [ -z "$temporary" ] || rm -f -- "$temporary"
  temporary=''
  note joined
fi
address=$(tailscale ip -4 | head -n 1)
[ -n "$address" ] || fail 'the machine has no tailnet address'
if [ -n "$expected" ] && [ "$address" != "$expected" ]; then
  tailscale down >&2 || true
  fail "the tailnet gave the address $address where $expected is expected: the identity was not restored, or it is
another machine's. Left the tailnet again. Restore the identity, or set the expected address to $address"
fi
if [ -n "$changes" ]; then echo "$step: changed ($changes)"; else echo "$step: unchanged"; fi
printf '%s\\n' "$address"
"""


def ensure_tailnet(*, name: str, expected_address: str | None = None) -> Step:
    """The machine is in the tailnet under `name`, by its restored identity or else by the auth key from standard input.

    Tailscale's own SSH stays off. With `expected_address` (IPv4) any other address is a refusal, and the machine leaves
    the tailnet again. The last line of the output is the IPv4 address, and nothing else.
    """
    known = f"name={checked_name(name, 'the name in the tailnet')}\nexpected={quote(expected_address or '')}\n"
    text = script("tailnet", known + JOIN, reads_stdin=True, reports=False)
    return Step("tailnet", text, "tailscale logout; remove the machine in Tailscale's console.", stdin_secret=AUTH_KEY)
