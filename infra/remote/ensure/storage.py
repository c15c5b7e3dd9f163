"""Steps for disks and shares: mounted under a name that survives a reboot, checked, and never formatted by surprise.

Docker waits for every mount made here: without it, containers would write into the empty folder underneath.
"""

import re

from infra.remote.shell import checked_name, checked_path, heredoc, quote, script
from infra.remote.steps import Step
from services.domain.errors import InvalidInput

FSTAB = """\
# fstab_line LINE MOUNT-POINT: the one line for that mount point, in its old place; all others stay as they are.
fstab_line() {
  content=$(LINE="$1" POINT="$2" awk '
    /^[[:space:]]*#/ || $2 != ENVIRON["POINT"] { print; next }
    !done { print ENVIRON["LINE"]; done = 1 }
    END { if (!done) print ENVIRON["LINE"] }' /etc/fstab)
  put_file /etc/fstab 0644 root:root <<END
$content
END
}
touch /etc/fstab
"""

READY = """\
[ -z "$changes" ] || systemctl daemon-reload
"""

MOUNTED_VOLUME = """\
tries=0
while [ ! -b "$device" ]; do
  tries=$((tries + 1))
  [ "$tries" -le 60 ] || fail "the volume $device has not appeared: is it attached to this machine?"
  sleep 1
done
real=$(readlink -f -- "$device")
if mountpoint -q -- "$point"; then
  source=$(findmnt -n -o SOURCE --mountpoint "$point" | tail -n 1)
  [ "$(readlink -f -- "$source")" = "$real" ] ||
    fail "$source is mounted at $point where $device is due: look into it and unmount it by hand"
elif [ -n "$(lsblk -n -o MOUNTPOINT -- "$real" | tr -d '[:space:]')" ]; then
  fail "$device is in use elsewhere on this machine: is it the system's own disk?"
fi
kind=$(blkid -p -o value -s TYPE -- "$real" || true)
if [ -z "$kind" ]; then
  # Blank means: no signature of anything, and nothing but zeros where every format keeps its beginning.
  size=$(blockdev --getsize64 "$real")
  [ "$size" -le 16777216 ] || size=16777216
  if [ -n "$(wipefs -n -- "$real")" ] || ! cmp -s -n "$size" -- "$real" /dev/zero; then
    fail "$device holds something, but no file system that can be read: nothing was formatted. If it may go, wipe its
beginning by hand (wipefs, and zeros over the first 16 MiB)"
  fi
  [ "$format" = yes ] ||
    fail "$device is blank, and formatting was not asked for: say so in the stack file, or attach the right volume"
  mkfs.ext4 -q -L "$label" "$real" >&2
  note 'formatted a blank volume'
  kind=ext4
fi
[ "$kind" = ext4 ] || fail "$device holds $kind where ext4 is due: nothing was changed"
uuid=$(blkid -p -o value -s UUID -- "$real")
for other in $(lsblk -n -p -l -o NAME); do
  if [ ! -b "$other" ] || [ "$(readlink -f -- "$other")" = "$real" ]; then continue; fi
  [ "$(blkid -p -o value -s UUID -- "$other" 2>/dev/null || true)" != "$uuid" ] ||
    fail "$other is a copy of $device with the same UUID: after a reboot the wrong one could be mounted. Detach it"
done
mkdir -p -- "$point"
fstab_line "UUID=$uuid $point ext4 defaults,nofail,x-systemd.device-timeout=60s 0 2" "$point"
"""

MOUNT_VOLUME = """\
described=$(dumpe2fs -h "$real" 2>/dev/null)
blocks=$(printf '%s\\n' "$described" | sed -n 's/^Block count: *//p')
block=$(printf '%s\\n' "$described" | sed -n 's/^Block size: *//p')
if [ $(($(blockdev --getsize64 "$real") - blocks * block)) -ge 16777216 ]; then
  # The volume was enlarged. Without being mounted a file system is only grown after a check.
  mountpoint -q -- "$point" || e2fsck -f -p "$real" >&2 || [ $? -eq 1 ] ||
    fail "the file system on $device has errors that want a person: e2fsck $device"
  resize2fs "$real" >&2 || fail "the file system on $device cannot be grown: see above"
  note "grown to the size of the volume, $declared_gb GB declared"
fi
mountpoint -q -- "$point" || { mount -- "$point"; note mounted; }
mountpoint -q -- "$point" || fail "$point is no mount point after mounting: see dmesg"
"""

SHARED = """\
mkdir -p -- "$point"
if mountpoint -q -- "$point"; then
  present=$(findmnt -n -o SOURCE --mountpoint "$point" | tail -n 1)
  if [ "$present" != "$source" ]; then
    umount -- "$point" || fail "$present is mounted at $point where $source is due, and it is in use: stop what uses it"
    note "no longer $present"
  fi
fi
fstab_line "$source $point nfs $options 0 0" "$point"
"""

MOUNT_SHARED = """\
if ! mountpoint -q -- "$point"; then
  said=$(timeout 150 mount -- "$point" 2>&1) || {
    case $said in
      *'No such file'*) said="$said. Share the volume with this instance: being in the same location is not enough" ;;
      *'timed out'*|'') said="$said. The machine has no way to the file server: private network, location?" ;;
    esac
    fail "$source cannot be mounted: $said"
  }
  note mounted
fi
mountpoint -q -- "$point" || fail "$point is no mount point after mounting"
timeout 60 ls -A -- "$point" >/dev/null || fail "$point is mounted, but cannot be read: the file server does not answer"
"""

NFS_OPTIONS = "vers=4.2,nconnect=16,hard,noatime,_netdev,nofail,x-systemd.mount-timeout=120s"
"""Sixteen connections as the provider's own mount command has them; a machine without its share still boots."""

SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*:/[A-Za-z0-9._/-]+")


def ensure_data_volume(device: str, mount_point: str, *, format_when_blank: bool, size_gb: int = 0) -> Step:
    """The app host's data volume, mounted at boot and now. `device` is its by-id name: others change with a reboot.

    Formatted only when it is blank and that was asked for; anything else than ext4 or blank is refused. The file system
    grows with its volume; a declared `size_gb` that changed is what makes the step run again for it.
    """
    if not device.startswith("/dev/disk/by-id/"):
        raise InvalidInput("the data volume's device has to be its name below /dev/disk/by-id/")
    return _volume("data-volume", device, mount_point, format_when_blank=format_when_blank, size_gb=size_gb)


def ensure_scratch(device: str, mount_point: str, *, format_when_blank: bool) -> Step:
    """A GPU host's scratch volume, attached after provisioning; the same rules as for data."""
    if not re.fullmatch(r"/dev/[A-Za-z0-9/_.:-]+", device):
        raise InvalidInput("the scratch volume's device has to be a path below /dev/")
    return _volume("scratch", device, mount_point, format_when_blank=format_when_blank)


def _volume(step: str, device: str, mount_point: str, *, format_when_blank: bool, size_gb: int = 0) -> Step:
    known = (
        f"declared_gb={int(size_gb)}\n"
        f"device={checked_path(device)}\npoint={_point(mount_point)}\n"
        f"format={'yes' if format_when_blank else 'no'}\nlabel={checked_name(f'comfyume-{step}'[:16], 'the label')}\n"
    )
    body = known + FSTAB + MOUNTED_VOLUME + docker_waits_for(step, mount_point) + READY + MOUNT_VOLUME
    undo = f"umount {mount_point}; remove its line from /etc/fstab and {_drop_in(step)}. The data stay on the volume."
    return Step(step, script(step, body), undo)


def ensure_shared_filesystem(source: str, mount_point: str) -> Step:
    """The shared filesystem, mounted at boot and now, and read once. `source` is what the provider's API says *today*:
    it may be another one after a rename, and then the old mount is replaced. See `mount_source`.
    """
    if not SOURCE.fullmatch(source):
        raise InvalidInput(f"the shared filesystem's source is {source!r}: server:/path is due, see its mount command")
    known = f"source={quote(source)}\npoint={_point(mount_point)}\noptions={quote(NFS_OPTIONS)}\n"
    step = "shared-filesystem"
    body = known + FSTAB + SHARED + docker_waits_for(step, mount_point) + READY + MOUNT_SHARED
    undo = f"umount {mount_point}; remove its line from /etc/fstab and {_drop_in(step)}. The files stay on the share."
    return Step(step, script(step, body), undo)


def mount_source(mount_command: str) -> str:
    """`nfs.fin-03.example:/share` out of the full mount command that the provider's API gives.

    Raises InvalidInput unless exactly one word of it is a server with a path.
    """
    found = [word for word in mount_command.split() if SOURCE.fullmatch(word)]
    if len(found) != 1:
        raise InvalidInput("the provider's mount command names no single server:/path: is the volume shared yet?")
    return found[0]


def docker_waits_for(step: str, mount_point: str) -> str:
    """Shell text: Docker does not start without this mount, so no container meets the empty folder underneath."""
    unit = f"# {step}: containers keep their files there\n[Unit]\nRequiresMountsFor={mount_point}\n"
    folder = "install -d -m 0755 /etc/systemd/system/docker.service.d\n"
    return folder + heredoc(f"put_file {_drop_in(step)} 0644 root:root", unit)


def _drop_in(step: str) -> str:
    return f"/etc/systemd/system/docker.service.d/comfyume-{step}.conf"


def _point(mount_point: str) -> str:
    """A mount point as fstab and systemd take it: no spaces, which both would want escaped."""
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", mount_point):
        raise InvalidInput(f"mount point is {mount_point!r}: an absolute path of letters, digits and . _ - is due")
    return checked_path(mount_point)
