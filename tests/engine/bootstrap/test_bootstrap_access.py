"""Who gets into a prepared machine, and who does not: keys, firewall, fail2ban, host keys."""

from pathlib import Path

import pytest

from infra.remote import ensure
from infra.remote.host_key import HostKeyProvider
from services.domain.errors import Unavailable
from tests.engine.bootstrap.prepared import (
    Host,
    new_key,
)
from tests.engine.bootstrap.room import Room
from tests.support.wait import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_only_keys_open_the_machine_and_many_connections_at_once_are_welcome(room: Room) -> None:
    settings = room.app.inside("sshd -T").splitlines()

    assert {"passwordauthentication no", "maxstartups 100:30:200", "maxsessions 100"} <= set(settings)
    assert "permitrootlogin without-password" in settings


def test_hardening_is_refused_while_nobody_could_log_in_by_key(room: Room) -> None:
    hidden = "mv /root/.ssh/authorized_keys /root/.ssh/away"
    try:
        room.app.inside(hidden)
        done = room.app.try_inside(ensure.ensure_ssh_hardened().shell)
    finally:
        room.app.inside("mv /root/.ssh/away /root/.ssh/authorized_keys")

    assert done.returncode == 1
    assert "no authorized key" in done.stderr


def test_the_firewall_is_closed_but_for_what_is_declared(room: Room) -> None:
    assert room.app.inside("ufw show added | sed -n 's/^ufw //p'").splitlines() == [
        "allow in on tailscale0", "allow 22/tcp", "allow 41641/udp", "allow 80/tcp", "allow 443/tcp",
    ]  # fmt: skip
    for host in (room.app, room.gpu):
        rules = host.inside("iptables -S")
        assert "-P INPUT DROP" in rules
        assert "--hashlimit-name comfyume-ssh -j DROP" in rules
        assert host.inside("ufw status | head -n 1") == "Status: active"
    assert "443" not in room.gpu.inside("ufw show added")


def test_whoever_guesses_is_shut_out(room: Room) -> None:
    guess = f"ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no admin@{room.app.machine.address} true"
    room.gpu.inside(f"for attempt in 1 2 3 4 5 6; do {guess} & done; wait")

    address = room.gpu.machine.address
    wait_for(lambda: address in room.app.inside("fail2ban-client status sshd"), "fail2ban to shut the sender out", 240)
    room.app.inside(f"fail2ban-client unban {address}")


def test_the_host_key_is_learned_from_the_machine_and_kept(room: Room) -> None:
    asked = {"address": room.app.machine.address, "identity": "1", "port": 22, "host_key": None}

    made = HostKeyProvider().create(asked)

    assert made.id == "1"
    assert made.outs is not None
    assert made.outs["host_key"] == room.app.inside("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")


def test_no_session_comes_about_with_another_host_key_or_another_key(room: Room, tmp_path: Path) -> None:
    stranger = new_key(tmp_path)
    other_machine, other_key = Host(room.app.machine, room.app.key), Host(room.app.machine, stranger)
    other_machine.host_key = room.gpu.host_key

    for host in (other_machine, other_key):
        with pytest.raises(Unavailable) as failure:
            host.try_step(ensure.ensure_backup_command())
        assert room.app.machine.address in failure.value.message
        assert "PRIVATE" not in failure.value.message
