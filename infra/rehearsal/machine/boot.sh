#!/bin/sh
# What a rehearsed machine does before systemd: host keys of its own at the first boot, control groups it may write,
# attached devices.
set -eu
if [ ! -w /sys/fs/cgroup/init.scope ] && [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup
fi
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
/usr/local/sbin/rehearsal-devices
# No udev runs here, so systemd would wait for the devices of fstab in vain; what is mounted already it takes over.
mount --all --types ext4,xfs,nfs,nfs4 || true
exec /lib/systemd/systemd
