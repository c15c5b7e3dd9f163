"""The stand-in clouds by themselves: what they refuse, what a change means, and that secrets go back as they came."""

from pathlib import Path
from typing import Any

import bcrypt
import pytest
from pulumi.runtime import rpc

from infra.rehearsal.providers import cloudflare, hcloud, random, wire
from infra.rehearsal.providers.cloud import Cloud, Fault, Record
from infra.rehearsal.providers.diff import rules
from infra.rehearsal.providers.schema import installed_packages, package_schema
from infra.rehearsal.providers.server import StandIn
from infra.rehearsal.providers.values import UNKNOWN, ProviderFailure, Request

SERVER = "hcloud:index/server:Server"
VOLUME = "hcloud:index/volume:Volume"
BUCKET = "cloudflare:index/r2Bucket:R2Bucket"
LOCK = "cloudflare:index/r2BucketLock:R2BucketLock"
ACCOUNT = "0" * 32


@pytest.fixture(autouse=True)
def _nothing_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUME_REHEARSAL_MACHINES", "none")


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def asked(type_: str, inputs: dict[str, Any], **more: Any) -> Request:
    return Request(type=type_, name="it", urn=f"urn:pulumi:staging::comfyume::{type_}::it", inputs=inputs, **more)


def reasons(stand_in: StandIn, request: Request) -> list[str]:
    return [problem.reason for problem in stand_in.check(request).problems]


# -- check -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, '"serverType" is required'),
        ({"serverType": "cax31", "servertype": "x"}, '"servertype" is unknown; did you mean "serverType"?'),
        ({"serverType": 31}, '"serverType" must be text'),
        ({"serverType": "cax31", "firewallIds": ["1"]}, '"firewallIds[0]" must be a whole number'),
        ({"serverType": "cax31", "backups": "yes"}, '"backups" must be true or false'),
        ({"serverType": "cax31", "labels": ["a"]}, '"labels" must be a map'),
        ({"serverType": "cax31", "sshKeys": "1"}, '"sshKeys" must be a list'),
        ({"serverType": "cax31", "publicNets": [{"ipv5": 1}]}, '"publicNets[0].ipv5" is unknown'),
        ({"serverType": "cax31", "publicNets": ["1"]}, '"publicNets[0]" must be an object'),
        ({"serverType": "cax31", "deleteProtection": True}, '"rebuildProtection" must equal "deleteProtection"'),
        ({"serverType": "cax31", "userData": "x" * 33_000}, '"userData" must not be longer than 32 KiB'),
    ],
)
def test_an_input_that_the_sdk_does_not_define_is_refused_by_name(
    cloud: Cloud, inputs: dict[str, Any], reason: str
) -> None:
    found = reasons(hcloud.StandIn("hcloud", cloud), asked(SERVER, inputs))

    assert len(found) == 1
    assert found[0].startswith(reason)


def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(cloud: Cloud) -> None:
    wrong = asked("command:remote:Command", {"connection": {"host": "192.0.2.1"}, "logging": "loud"})

    assert reasons(StandIn("command", cloud), wrong) == [
        '"logging" must be one of stdout, stderr, stdoutAndStderr, none'
    ]


def test_a_value_that_is_not_known_yet_is_not_refused(cloud: Cloud) -> None:
    request = asked(SERVER, {"serverType": UNKNOWN, "firewallIds": [UNKNOWN], "labels": UNKNOWN})

    assert reasons(hcloud.StandIn("hcloud", cloud), request) == []
    assert UNKNOWN == rpc.UNKNOWN


def test_a_type_that_no_sdk_has_is_refused(cloud: Cloud) -> None:
    assert reasons(StandIn("hcloud", cloud), asked("hcloud:index/moon:Moon", {})) == [
        "the installed SDK of hcloud knows no resource type hcloud:index/moon:Moon"
    ]


@pytest.mark.parametrize("package", ["hcloud", "docker", "command", "random"])
def test_every_installed_sdk_can_be_read(package: str) -> None:
    schema = package_schema(package)

    assert package in installed_packages()
    assert f"pulumi:providers:{package}" in schema["resources"]
    assert all(definition["inputs"] for type_, definition in schema["resources"].items() if "providers" not in type_)


def test_the_table_of_replacing_properties_names_only_what_the_sdks_define() -> None:
    for type_, rule in rules().items():
        package = type_.partition(":")[0]
        inputs = package_schema(package)["resources"][type_]["inputs"]
        named = {name for key in ("replaces", "in_place", "ignored") for name in rule.get(key, ())}
        assert named <= inputs.keys(), type_


# -- diff ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "old", "new", "changed", "replaces"),
    [
        (SERVER, {"serverType": "cax21", "image": "a"}, {"serverType": "cax31", "image": "a"}, {"serverType"}, set()),
        (SERVER, {"userData": "a"}, {"userData": "b"}, {"userData"}, {"userData"}),
        (SERVER, {"userData": "a"}, {"userData": UNKNOWN}, {"userData"}, {"userData"}),
        (BUCKET, {"location": "weur"}, {}, set(), set()),
        (BUCKET, {"jurisdiction": "eu"}, {}, {"jurisdiction"}, set()),
        ("random:index/randomPassword:RandomPassword", {"length": 1}, {"length": 2}, {"length"}, {"length"}),
        ("docker:index/container:Container", {"envs": ["A=1"]}, {"envs": ["A=2"]}, {"envs"}, {"envs"}),
        ("docker:index/container:Container", {"memory": 1}, {"memory": 2}, {"memory"}, set()),
    ],
)
def test_a_change_is_in_place_or_a_replacement_as_with_the_real_provider(
    cloud: Cloud, type_: str, old: dict[str, Any], new: dict[str, Any], changed: set[str], replaces: set[str]
) -> None:
    found = StandIn("any", cloud).diff(asked(type_, new, old_inputs=old))

    assert (set(found.changed), set(found.replaces)) == (changed, replaces)


# -- secrets ---------------------------------------------------------------------------------------------------------


def test_a_secret_goes_back_wrapped_in_whatever_it_is_found() -> None:
    wanted = {
        "stdin": wire.wrapped("correct horse"),
        "create": "cat",
        "envs": ["A=1", wire.wrapped("B=battery staple")],
    }
    answer = {"create": "cat", "stdin": "correct horse", "envs": ["A=1", "B=battery staple"], "size": 3}
    answer |= {"stdout": "I read: correct horse", "stderr": ""}

    closed = wire.closed_again(answer, [wanted], frozenset({"stderr"}))

    assert wire.opened(closed) == answer
    assert closed["envs"] == wanted["envs"]
    assert wire.secret_keys(closed) == {"stdin", "envs", "stdout", "stderr"}


def test_numbers_and_secrets_survive_the_wire() -> None:
    properties = {"size": 20, "ratio": 0.5, "token": wire.wrapped("t"), "list": [1, None, True], "map": {"a": "b"}}

    assert wire.raw(wire.closed(properties)) == properties


# -- the clouds ------------------------------------------------------------------------------------------------------


def test_a_server_gets_the_address_that_was_rented_for_it(cloud: Cloud) -> None:
    hetzner = hcloud.StandIn("hcloud", cloud)
    address = hetzner.create(asked("hcloud:index/primaryIp:PrimaryIp", {"name": "a", "type": "ipv4"}))
    wanted = {"name": "host", "serverType": "cax31", "publicNets": [{"ipv4": int(address.id)}]}
    server = hetzner.create(asked(SERVER, wanted))

    assert server.id.isdigit()
    assert server.outputs["ipv4Address"] == address.outputs["ipAddress"]
    assert server.outputs["status"] == "running"


def test_a_name_can_be_had_once(cloud: Cloud) -> None:
    hetzner = hcloud.StandIn("hcloud", cloud)
    hetzner.create(asked(VOLUME, {"name": "data", "size": 10}))

    with pytest.raises(ProviderFailure, match="already used"):
        hetzner.create(asked(VOLUME, {"name": "data", "size": 10}))


def test_a_volume_only_grows_and_is_attached_where_the_server_is(cloud: Cloud) -> None:
    hetzner = hcloud.StandIn("hcloud", cloud)
    volume = hetzner.create(asked(VOLUME, {"name": "data", "size": 20, "location": "nbg1"}))
    server = hetzner.create(asked(SERVER, {"name": "host", "serverType": "cax31", "location": "fsn1"}))
    attachment = {"volumeId": int(volume.id), "serverId": int(server.id)}

    with pytest.raises(ProviderFailure, match="another location"):
        hetzner.create(asked("hcloud:index/volumeAttachment:VolumeAttachment", attachment))
    with pytest.raises(ProviderFailure, match="only grow"):
        hetzner.update(asked(VOLUME, {"name": "data", "size": 10}, old_inputs={"size": 20}, id=volume.id))


def test_a_bucket_is_found_by_its_jurisdiction_and_adopted_by_its_long_name(cloud: Cloud) -> None:
    r2 = cloudflare.StandIn("cloudflare", cloud)
    inputs = {"accountId": ACCOUNT, "name": "models", "jurisdiction": "eu"}
    r2.create(asked(BUCKET, inputs))

    with pytest.raises(ProviderFailure, match="already exists"):
        r2.create(asked(BUCKET, inputs))
    with pytest.raises(ProviderFailure, match="does not exist in this jurisdiction"):
        r2.create(asked(LOCK, {"accountId": ACCOUNT, "bucketName": "models", "rules": []}))
    adopted = r2.read(asked(BUCKET, {}, id=f"{ACCOUNT}/models/eu"))
    assert adopted is not None
    assert (adopted.id, adopted.inputs) == ("models", inputs)


def test_a_lock_stays_when_its_resource_is_deleted(cloud: Cloud) -> None:
    r2 = cloudflare.StandIn("cloudflare", cloud)
    for name in ("models", "outputs"):
        inputs = {"accountId": ACCOUNT, "name": name, "jurisdiction": "eu"}
        r2.create(asked(BUCKET, inputs))
        locked = r2.create(asked(LOCK, {"accountId": ACCOUNT, "bucketName": name, "jurisdiction": "eu"}))
        r2.delete(asked(LOCK, locked.inputs, id=locked.id))

    assert len(cloud.records(LOCK)) == 2


def test_rights_are_found_by_name(cloud: Cloud) -> None:
    token = "cloudflare:index/getAccountApiTokenPermissionGroupsList:getAccountApiTokenPermissionGroupsList"
    wanted = {"accountId": ACCOUNT, "name": "Workers%20R2%20Storage%20Bucket%20Item%20Write"}
    answer = cloudflare.StandIn("cloudflare", cloud).invoke(token, wanted)

    assert [group["name"] for group in answer["results"]] == ["Workers R2 Storage Bucket Item Write"]


def test_a_random_password_has_what_was_asked_for_and_its_own_hash(cloud: Cloud) -> None:
    wanted = {"length": 20, "special": False, "minNumeric": 3}
    made = random.StandIn("random", cloud).create(asked("random:index/randomPassword:RandomPassword", wanted))
    result = made.outputs["result"]

    assert len(result) == 20
    assert result.isalnum()
    assert sum(letter.isdigit() for letter in result) >= 3
    assert bcrypt.checkpw(result.encode(), made.outputs["bcryptHash"].encode())


# -- the folder ------------------------------------------------------------------------------------------------------


def test_a_fault_counts_down_and_then_lets_pass(cloud: Cloud) -> None:
    cloud.set_faults(Fault(op="create", urn=SERVER, error="no", times=2))

    seen = [cloud.fault("create", f"urn::{SERVER}::a") for _ in range(3)]

    assert [fault.error if fault else None for fault in seen] == ["no", "no", None]
    assert cloud.fault("delete", f"urn::{SERVER}::a") is None


def test_what_exists_is_kept_for_the_next_process(cloud: Cloud) -> None:
    record = Record("hcloud", VOLUME, "7", "data", {"size": 10}, {"size": 10, "linuxDevice": "/dev/x"})
    cloud.put(record)
    again = Cloud(cloud.folder)

    assert again.records(VOLUME) == [record]
    again.remove("hcloud", VOLUME, "7")
    assert cloud.get("hcloud", VOLUME, "7") is None
