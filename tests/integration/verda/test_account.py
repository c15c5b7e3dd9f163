"""Keys, startup scripts, serverless workers and their secrets as resources over real HTTP."""

from typing import Any

import pytest

from infra.rehearsal.providers.cloud import Fault
from infra.verda.errors import VerdaError
from infra.verda.resources import (
    VerdaDeploymentProvider,
    VerdaSecretProvider,
    VerdaSshKeyProvider,
    VerdaStartupScriptProvider,
)
from tests.support.verda_room import VerdaRoom

pytestmark = pytest.mark.slow

SECRET = "canary-of-a-secret-value"


def worker(room: VerdaRoom, **changes: Any) -> dict[str, Any]:
    inputs = {
        "name": room.name("worker-1"),
        "image": "registry.test/comfyui:1",
        "compute": "H200",
        "port": 8188.0,
        "is_spot": False,
        "healthcheck_path": "/",
        "command": ["python3", "main.py"],
        "env": {"B": "2", "A": "1"},
        "secret_env": {},
        "sfs_volume_id": "an-sfs",
        "sfs_mount_path": "/mnt/sfs",
        "shared_memory_mb": 64.0,
        "scale_down_seconds": 300.0,
        "request_seconds": 36000.0,
    }
    return {**inputs, **changes}


def test_a_key_is_entered_once_and_somebody_elses_is_used_and_left(room: VerdaRoom) -> None:
    keys, material = room.provider(VerdaSshKeyProvider), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOfAnotherPerson"
    theirs = room.api().account.ensure_ssh_key("by-hand", f"{material} them@home")

    used = keys.create({"name": "ours", "public_key": f"{material} us@work"})
    assert used.outs is not None
    keys.delete(used.id, used.outs)

    assert used.id == theirs.id
    assert theirs.id in {key["id"] for key in room.things("ssh_keys")}


def test_our_own_key_is_deleted_and_a_missing_one_is_no_error(room: VerdaRoom) -> None:
    keys = room.provider(VerdaSshKeyProvider)
    inputs = {"name": "ours", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOfOurOwnDeployment"}
    ours, again = keys.create(inputs), keys.create(inputs)
    assert again.outs is not None

    keys.delete(again.id, again.outs)
    keys.delete(again.id, again.outs)

    assert ours.id == again.id
    assert keys.read(ours.id, again.outs).id is None


def test_a_changed_script_stands_beside_the_old_one(room: VerdaRoom) -> None:
    scripts = room.provider(VerdaStartupScriptProvider)
    inputs = {"name": room.name("startup"), "script": "#!/bin/sh\necho one\n"}
    changed = {**inputs, "script": "#!/bin/sh\necho two\n"}

    first, second, same = scripts.create(inputs), scripts.create(changed), scripts.create(inputs)
    scripts.delete(first.id, inputs)

    assert first.id == same.id != second.id
    assert scripts.read(first.id, inputs).id is None
    assert scripts.read(second.id, changed).id == second.id


def test_a_serverless_worker_has_one_replica_for_one_request_and_none_at_night(room: VerdaRoom) -> None:
    deployments, inputs = room.provider(VerdaDeploymentProvider), worker(room)

    made = deployments.create(inputs)
    there = next(entry for entry in room.things("deployments") if entry["name"] == inputs["name"])

    assert made.outs is not None and made.outs["endpoint_base_url"].endswith(inputs["name"])
    scaling = there["scaling"]
    assert (scaling["min_replica_count"], scaling["max_replica_count"]) == (0, 1)
    assert scaling["concurrent_requests_per_replica"] == 1
    container = there["containers"][0]
    assert [variable["name"] for variable in container["env"]] == ["A", "B"]
    assert {mount["mount_path"] for mount in container["volume_mounts"]} == {"/dev/shm", "/mnt/sfs"}
    assert not deployments.diff(made.id, made.outs, inputs).changes


def test_a_serverless_worker_is_changed_in_place_and_waited_for_at_its_end(room: VerdaRoom) -> None:
    deployments, inputs = room.provider(VerdaDeploymentProvider), worker(room)
    made = deployments.create(inputs)
    assert made.outs is not None
    newer = {**inputs, "image": "registry.test/comfyui:2"}

    assert deployments.diff(made.id, made.outs, newer).replaces == []
    changed = deployments.update(made.id, made.outs, newer).outs
    assert changed is not None
    deployments.delete(made.id, changed)
    deployments.delete(made.id, changed)

    assert changed["image"] == "registry.test/comfyui:2"
    assert deployments.read(made.id, changed).id is None


def test_a_deployment_whose_answer_was_lost_is_taken_over(room: VerdaRoom) -> None:
    deployments, inputs = room.provider(VerdaDeploymentProvider), worker(room)
    room.fail(Fault(op="post", urn="container-deployments", error="html", when="after", times=1))

    assert deployments.create(inputs).id == inputs["name"]


def test_a_worker_reads_its_secret_by_name_and_the_value_is_shown_nowhere(room: VerdaRoom) -> None:
    secrets, name = room.provider(VerdaSecretProvider), room.name("token")
    made = secrets.create({"name": name, "value": SECRET})
    room.provider(VerdaDeploymentProvider).create(worker(room, secret_env={"COMFYUI_TOKEN": name}))

    assert made.id == name
    assert SECRET not in (room.cloud.folder / "cloud.json").read_text()
    assert SECRET not in (room.cloud.folder / "calls.jsonl").read_text()
    assert secrets.diff(name, {"name": name, "value": SECRET}, {"name": name, "value": "new"}).delete_before_replace


def test_a_secret_that_is_there_is_made_anew_and_deleted_quietly_when_gone(room: VerdaRoom) -> None:
    secrets, name = room.provider(VerdaSecretProvider), room.name("token")
    secrets.create({"name": name, "value": SECRET})
    secrets.create({"name": name, "value": "another"})

    secrets.delete(name, {"name": name})
    secrets.delete(name, {"name": name})

    assert secrets.read(name, {"name": name}).id is None


def test_a_refused_secret_is_not_quoted_in_the_refusal(room: VerdaRoom) -> None:
    name, api = room.name("token"), room.api()
    api.serverless._service.create_secret(name, SECRET)
    api.serverless.secret_names = list  # type: ignore[method-assign]  # it appears between the look and the create

    with pytest.raises(VerdaError) as refused:
        api.serverless.put_secret(name, SECRET)

    assert "exists" in refused.value.message
    assert SECRET not in refused.value.message
