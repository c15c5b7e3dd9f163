"""Steps for who gets in: SSH by key only, exactly the declared keys, the firewall, fail2ban."""

from collections.abc import Iterable

from infra.remote.shell import heredoc, put_text, quote, script
from infra.remote.ssh import HOST_KEY
from infra.remote.steps import Step
from services.domain.errors import InvalidInput

TAILNET_INTERFACE = "tailscale0"

SSH_SETTINGS = """\
# Keys only. The Docker provider opens one SSH connection per call and many at once: sshd's own limits of 10 would
# refuse some of them at random. The first value that sshd reads wins, so this file is read before cloud-init's.
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
X11Forwarding no
LoginGraceTime 30
MaxStartups 100:30:200
MaxSessions 100
"""

SSH = """\
[ -s /root/.ssh/authorized_keys ] || fail 'root has no authorized key: without a password nobody could log in any more'
grep -qiE '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config.d/' /etc/ssh/sshd_config ||
  fail '/etc/ssh/sshd_config does not include sshd_config.d: put that line at its top'
mkdir -p /run/sshd
if ! sshd -t; then
  rm -f /etc/ssh/sshd_config.d/01-comfyume.conf
  fail 'sshd refuses its configuration: ours was taken away again'
fi
# A restart and not a reload: it returns when sshd listens again, and open sessions live on.
[ -z "$changes" ] || systemctl restart ssh
sshd -T 2>/dev/null | grep -qx 'passwordauthentication no' || fail 'another file of sshd_config.d allows passwords'
sshd -T 2>/dev/null | grep -qx 'maxstartups 100:30:200' || fail 'another file of sshd_config.d sets MaxStartups'
"""

SSH_LIMIT = """\
# comfyume: SSH is limited per sender. A deployment opens dozens of connections at once, so ufw's own `limit` (six in
# 30 seconds) would shut out the operator; 200 at once and 2 a second are out of reach for whoever guesses.
-A ufw{six}-before-input -p tcp --dport 22 -m conntrack --ctstate NEW -m hashlimit --hashlimit-name comfyume-ssh{six} \
--hashlimit-mode srcip --hashlimit-srcmask {width} --hashlimit-above 2/second --hashlimit-burst 200 -j DROP
# comfyume: end
"""

UFW_FUNCTIONS = """\
command -v ufw >/dev/null || fail 'the package ufw is missing'
current() { ufw show added | sed -n 's/^ufw //p'; }
# limited FILE: puts the block from standard input before the last COMMIT of ufw's own rules.
limited() {
  block=$(cat)
  content=$(awk '/^# comfyume: SSH/ { skip = 1 } !skip { print } /^# comfyume: end/ { skip = 0 }' "$1" |
    BLOCK="$block" awk '{ line[NR] = $0; if ($0 == "COMMIT") last = NR }
      END { for (i = 1; i <= NR; i++) { if (i == last) print ENVIRON["BLOCK"]; print line[i] } }')
  put_file "$1" 0640 root:root <<END
$content
END
}
"""

UFW = """\
limits=$changes
due() { [ "$(current | sort)" = "$(printf '%s\\n' "$wanted" | sort)" ]; }
if ! due; then
  # Rules are added before others go, so that nobody is locked out in between; what stands here is all that stands.
  present=$(current)
  printf '%s\\n' "$wanted" | while IFS= read -r rule; do
    # shellcheck disable=SC2086  # a rule is several words
    printf '%s\\n' "$present" | grep -qxF -- "$rule" || ufw $rule >&2
  done
  printf '%s\\n' "$present" | while IFS= read -r rule; do
    # shellcheck disable=SC2086
    [ -z "$rule" ] || printf '%s\\n' "$wanted" | grep -qxF -- "$rule" || ufw --force delete $rule >&2
  done
  due || fail "the rules are not what is due: $(current | tr '\\n' ';')"
  note rules
fi
closed() {
  grep -qx 'DEFAULT_INPUT_POLICY="DROP"' /etc/default/ufw && grep -qx 'DEFAULT_OUTPUT_POLICY="ACCEPT"' /etc/default/ufw
}
closed || { ufw default deny incoming >&2; ufw default allow outgoing >&2; note 'closed by default'; }
closed || fail 'ufw is not closed by default'
active() { ufw status | grep -q '^Status: active'; }
if ! active; then
  ufw --force enable >&2
  active || fail 'ufw does not come up: see its messages above'
  note 'switched on'
elif [ -n "$limits" ]; then
  ufw reload >&2
fi
systemctl is-enabled --quiet ufw || { systemctl enable --quiet ufw >&2; note 'enabled at boot'; }
"""

JAIL = """\
# The jail is called sshd although the service is called ssh; newer servers log as sshd-session, so the unit decides.
# Five wrong attempts within ten minutes: out for an hour.
[sshd]
enabled = true
backend = systemd
journalmatch = _SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service
maxretry = 5
findtime = 10m
bantime = 1h
ignoreip = 127.0.0.1/8 ::1 100.64.0.0/10
"""

FAIL2BAN = """\
command -v fail2ban-client >/dev/null || fail 'the package fail2ban is missing'
systemctl is-enabled --quiet fail2ban || { systemctl enable --quiet fail2ban >&2; note 'enabled at boot'; }
if ! systemctl is-active --quiet fail2ban; then
  systemctl start fail2ban
  note started
elif [ -n "$changes" ]; then
  systemctl restart fail2ban
fi
tries=0
until fail2ban-client status sshd >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -le 30 ] || fail 'fail2ban does not watch SSH: see journalctl -u fail2ban'
  sleep 1
done
"""


def ensure_authorized_keys(keys: Iterable[str]) -> Step:
    """Root's authorized keys are exactly these: a key that was taken out of the settings, or came by hand, is gone.

    Raises InvalidInput for no key at all, and for a line that is no plain public key.
    """
    lines = [key.strip() for key in keys]
    if not lines:
        raise InvalidInput("authorized keys are empty: with no key nobody could log in any more")
    for line in lines:
        kind, _, rest = line.partition(" ")
        if "\n" in line or not HOST_KEY.fullmatch(f"{kind} {rest.partition(' ')[0]}"):
            raise InvalidInput(
                "an authorized key is malformed: give it as in an OpenSSH .pub file, one line, no options"
            )
    body = "install -d -m 0700 /root/.ssh\n"
    body += put_text("/root/.ssh/authorized_keys", "\n".join(lines) + "\n", mode="0600")
    return Step("authorized-keys", script("authorized-keys", body), "Edit /root/.ssh/authorized_keys on the machine.")


def ensure_ssh_hardened() -> Step:
    """Keys only, and room for the many connections of a deployment. Refused while root has no key."""
    guard, rest = SSH.split("\n", 1)
    body = guard + "\n" + put_text("/etc/ssh/sshd_config.d/01-comfyume.conf", SSH_SETTINGS) + rest
    undo = "rm /etc/ssh/sshd_config.d/01-comfyume.conf; systemctl reload ssh"
    return Step("ssh-hardened", script("ssh-hardened", body), undo)


def ensure_firewall(*, public_web: bool, rustdesk: bool = False) -> Step:
    """ufw: closed but for SSH (limited), Tailscale, and on the app host the web.

    Ports that Docker publishes pass by ufw, so a container that is not for the public is published on the tailnet
    address alone.
    """
    wanted = "\n".join(firewall_rules(public_web=public_web, rustdesk=rustdesk))
    limits = [
        heredoc(f"limited /etc/ufw/before{six}.rules", SSH_LIMIT.format(six=six, width=width))
        for six, width in (("", 32), ("6", 64))
    ]
    body = f"wanted={quote(wanted)}\n{UFW_FUNCTIONS}{''.join(limits)}{UFW}"
    return Step("firewall", script("firewall", body), "ufw disable; ufw reset (keeps copies of the files it replaces)")


def firewall_rules(*, public_web: bool, rustdesk: bool) -> list[str]:
    """The rules in ufw's own canonical form."""
    rules = [f"allow in on {TAILNET_INTERFACE}", "allow 22/tcp", "allow 41641/udp"]
    if public_web:
        rules += ["allow 80/tcp", "allow 443/tcp"]
    if rustdesk:
        rules += ["allow 21115:21119/tcp", "allow 21116/udp"]
    return rules


def ensure_fail2ban() -> Step:
    """Whoever guesses keys is shut out for an hour; the tailnet never is."""
    body = put_text("/etc/fail2ban/jail.d/comfyume.local", JAIL) + FAIL2BAN
    undo = "rm /etc/fail2ban/jail.d/comfyume.local; systemctl restart fail2ban"
    return Step("fail2ban", script("fail2ban", body), undo)
