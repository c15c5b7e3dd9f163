#!/bin/sh
# What a rehearsed machine does before systemd: host keys of its own at the first boot, control groups it may write.
set -eu
if [ ! -w /sys/fs/cgroup/init.scope ] && [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup
fi
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
exec /lib/systemd/systemd
