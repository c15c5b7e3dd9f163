"""What each stack is made of, how quiet an unchanged one is, and what each change touches: by the real engine."""

import json
import shutil
from pathlib import Path

import pytest

from infra.components import service_image, vps
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.workshop import rehearsed_workshop
from services.domain.stack_outputs import StackOutputs

pytestmark = [pytest.mark.engine, pytest.mark.slow]

CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"
PASSWORD = "random:index/randomPassword:RandomPassword"

CLOUD = {
    "cloudflare:index/accountToken:AccountToken": 2,
    "cloudflare:index/dnsRecord:DnsRecord": 1,
    "cloudflare:index/r2Bucket:R2Bucket": 4,
    "cloudflare:index/r2BucketLock:R2BucketLock": 4,
    "hcloud:index/firewall:Firewall": 1,
    "hcloud:index/primaryIp:PrimaryIp": 1,
    "hcloud:index/server:Server": 1,
    "hcloud:index/sshKey:SshKey": 1,
    "hcloud:index/volume:Volume": 1,
    "hcloud:index/volumeAttachment:VolumeAttachment": 1,
    "pulumi-python:dynamic/remote:HostKey": 1,
    "pulumi-python:dynamic/verda:Volume": 1,
    "docker:index/network:Network": 2,
    "docker:index/image:Image": 6,
}
"""What both stacks have alike: the same program, only the data differ."""


def test_staging_is_made_of_these(fresh: Rehearsal) -> None:
    counts = fresh.preview().counts()
    assert {type_: counts[type_] for type_ in CLOUD} == CLOUD
    assert counts[CONTAINER] == 5 + 3
    assert counts["docker:index/remoteImage:RemoteImage"] == 1


def test_prod_is_made_of_these(pulumi_cli: Path, tmp_path: Path) -> None:
    with rehearsed_workshop(tmp_path, "prod") as prod:
        counts = prod.preview().counts()
    assert {type_: counts[type_] for type_ in CLOUD} == CLOUD
    assert counts[CONTAINER] == 5 + 20 + 2  # Prometheus and Grafana
    assert counts["docker:index/remoteImage:RemoteImage"] == 3


def test_nothing_happens_when_nothing_changed(deployed: Rehearsal) -> None:
    assert deployed.up().changes == []
    assert deployed.preview(expect_no_changes=True).ok


def test_the_document_is_typed_and_readable(deployed: Rehearsal) -> None:
    document = StackOutputs.model_validate(deployed.outputs()["workshop"])
    assert document.stack == "staging"
    assert [host.role for host in document.hosts] == ["app"]
    assert document.hosts[0].tailnet_address
    assert {container.role for container in document.containers} == {
        "redis", "queue-manager", "auth", "admin", "nginx",
    }  # fmt: skip
    stack = next(entry for entry in deployed.resources("pulumi:pulumi:Stack"))
    assert "ciphertext" not in json.dumps(stack["outputs"])


def test_one_more_participant_is_hers_and_the_front_door(deployed: Rehearsal) -> None:
    added = deployed.with_setting("comfyume:participants.newcomer", {}).up()
    assert added.names("create") == {"password-newcomer", "token-newcomer", "person-newcomer", "frontend-newcomer"}
    assert {step.name for step in added.changes} - added.names("create") == {"front-door"}
    gone = deployed.with_setting("comfyume:participants.newcomer", None).up()
    assert gone.names("delete") == added.names("create")
    assert {step.name for step in gone.changes} - gone.names("delete") == {"front-door"}


def test_a_rotated_password_touches_that_person_only(deployed: Rehearsal) -> None:
    rekeyed = deployed.with_setting("comfyume:participants.user002.rekeyed", 1).up()
    assert {step.name for step in rekeyed.changes} == {"password-user002", "person-user002"}
    assert rekeyed.names("update") == {"person-user002"}


def test_a_changed_service_rebuilds_and_restarts_that_service_only(
    deployed: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("images", "requirements", "services"):
        shutil.copytree(
            service_image.REPOSITORY / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    edited = tmp_path / "services" / "auth" / "app.py"
    edited.write_text(edited.read_text() + "\n# one more line\n")
    with monkeypatch.context() as patched:
        patched.setattr(service_image, "REPOSITORY", tmp_path)
        changed = {step.name for step in deployed.preview().changes}
    assert {name for name in changed if not name.startswith("app-host-engine-image")} == {"auth"}
    assert "app-host-engine-image-auth" in changed


def test_a_changed_first_boot_never_replaces_the_server_silently(
    deployed: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vps, "render_cloud_init", lambda *_, **__: "#cloud-config\npackages: [htop]\n")
    refused = deployed.preview(may_fail=True)
    assert not refused.ok
    assert "app-host" in refused.error and "protect" in refused.error
    kept = deployed.with_setting("comfyume:protection.keep_as_built", ["app-host"]).preview()
    assert "app-host" not in {step.name for step in kept.changes}
    deployed.with_setting("comfyume:protection", {"allow_replacement": ["app-host"]})
    assert "app-host" in {step.name for step in deployed.preview().changes}
    deployed.with_setting("comfyume:protection", None)


def test_a_wrong_key_stops_the_engine_before_anything_is_registered(deployed: Rehearsal) -> None:
    refused = deployed.with_setting("comfyume:gpu.cuont", 1).preview(may_fail=True)
    deployed.with_setting("comfyume:gpu.cuont", None)
    assert "comfyume:gpu.cuont: is not a setting; did you mean `count`?" in refused.error
    assert {step.type for step in refused.steps} <= {"pulumi:pulumi:Stack"}


def test_no_secret_shows_in_what_is_printed_or_stored(deployed: Rehearsal) -> None:
    shown = [deployed.preview().text, deployed.up().text, deployed.state_text(), json.dumps(deployed.outputs())]
    assert deployed.found_canaries(shown) == []
    made = [entry["outputs"]["result"] for entry in deployed.resources(PASSWORD)]
    assert made and all("ciphertext" in secret for secret in made)
