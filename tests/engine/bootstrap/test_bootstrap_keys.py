"""The tailnet and workers' keys: in memory alone, back after a reboot, and given to their own host only."""

import json

import pytest

from infra.rehearsal import machines
from infra.remote import ensure
from tests.engine.bootstrap.prepared import (
    WORKERS,
)
from tests.engine.bootstrap.room import JOIN_KEY, TOKENS, Room, app_step, gpu_step
from tests.support.wait import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def test_the_tailnet_step_ends_with_the_address_and_shows_the_key_to_nobody(room: Room) -> None:
    room.app.inside("tailscale logout")

    said = room.app.step(app_step(room, "tailnet"), JOIN_KEY)

    assert said.splitlines() == ["tailnet: changed (joined)", room.app.machine.tailnet_address]
    joined = json.loads(room.app.inside("cat /rehearsal/machine/tailscale.json"))
    assert "--ssh=false" in joined["arguments"]
    assert joined["key"] == "given"
    found = room.app.try_inside("grep -rl tskey-auth-canary /etc /root /var /usr/local /tmp /dev/shm /run 2>/dev/null")
    assert found.stdout == ""


def test_another_tailnet_address_than_expected_is_a_refusal_and_the_machine_leaves(room: Room) -> None:
    said = room.app.refusal(ensure.ensure_tailnet(name="app", expected_address="100.64.99.99"), JOIN_KEY)

    assert "where 100.64.99.99 is expected" in said
    assert json.loads(room.app.inside("cat /rehearsal/machine/tailscale.json"))["up"] is False
    rejoined = room.app.step(app_step(room, "tailnet"), JOIN_KEY)
    assert rejoined.splitlines() == ["tailnet: changed (joined)", room.app.machine.tailnet_address]


def test_joining_without_key_and_without_identity_says_what_is_missing(room: Room) -> None:
    room.gpu.inside("tailscale logout")

    said = room.gpu.refusal(gpu_step(room, "tailnet"))

    assert "No key was given and no identity was restored" in said
    assert room.gpu.step(gpu_step(room, "tailnet"), JOIN_KEY).endswith(room.gpu.machine.tailnet_address)


def test_the_keys_are_in_memory_for_their_container_and_nowhere_on_the_disk(room: Room) -> None:
    for worker, token in TOKENS.items():
        path = f"/run/comfyume/keys/{worker}/token"
        assert room.gpu.inside(f"cat {path}") == token.decode()
        assert room.gpu.inside(f"stat -c '%u:%g %a' {path}") == "10001:10001 400"
    assert room.gpu.inside("stat -f -c %T /run/comfyume/keys") == "ramfs"
    memory_and_cloud = " ".join(f"--exclude-dir={name}" for name in ("proc", "sys", "run", "rehearsal"))
    on_disk = room.gpu.try_inside(f"grep -rl cme_canary / {memory_and_cloud}")
    assert on_disk.stdout == ""


def test_a_gpu_host_is_given_its_own_keys_whatever_it_asks_for(room: Room) -> None:
    room.app.step(ensure.ensure_key_recipient("gpu-2", room.app.host_key))
    room.app.step(ensure.ensure_worker_key("gpu-2", "gpu-2-worker-1", "token"), b"cme_canary_of_another")
    ask = (
        "ssh -n -i /etc/ssh/ssh_host_ed25519_key -o BatchMode=yes -o StrictHostKeyChecking=no "
        f"comfyume-keys@{room.app.machine.address}"
    )

    given = room.gpu.inside(f"{ask} 'cat /etc/comfyume/keys/gpu-2/*; id'")

    assert sorted(line.split()[0] for line in given.splitlines()) == sorted(WORKERS)
    assert room.gpu.try_inside(f"{ask.replace('comfyume-keys@', 'root@')} id").returncode != 0
    room.app.step(ensure.ensure_no_key_recipient("gpu-2"))
    assert room.app.try_inside("ls /etc/comfyume/keys/gpu-2").returncode != 0


def test_a_key_that_was_changed_on_the_app_host_replaces_the_one_in_memory(room: Room) -> None:
    worker = WORKERS[0]
    room.app.step(ensure.ensure_worker_key("gpu-1", worker, "token"), b"cme_canary_new")

    said = room.gpu.step(gpu_step(room, "keyring"))

    assert said == f"keyring: changed (key of {worker})"
    assert room.gpu.inside(f"cat /run/comfyume/keys/{worker}/token") == "cme_canary_new"
    room.app.step(ensure.ensure_worker_key("gpu-1", worker, "token"), TOKENS[worker])
    room.gpu.step(gpu_step(room, "keyring"))


def test_after_a_reboot_disks_keys_and_firewall_are_back_by_themselves(room: Room) -> None:
    gpu = room.gpu
    machines.restart_machine(gpu.machine)

    token = f"/run/comfyume/keys/{WORKERS[1]}/token"
    wait_for(lambda: gpu.try_inside(f"cat {token}").stdout == TOKENS[WORKERS[1]].decode(), "the key to be back")
    wait_for(lambda: "active" in gpu.try_inside("ufw status").stdout, "the firewall to be up")
    mounted = "mountpoint -q /mnt/sfs && mountpoint -q /mnt/scratch"
    wait_for(lambda: gpu.try_inside(mounted).returncode == 0, "share and scratch to be mounted")
    assert gpu.step(gpu_step(room, "keyring")) == "keyring: unchanged"
