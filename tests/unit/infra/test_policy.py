"""Rules that hold for everything the program registers, in both stacks; and the graphs that reviewers read."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.support.resource_graph import GOLDEN, REPOSITORY, VARIANTS, drawn

pytestmark = pytest.mark.slow

Entry = dict[str, Any]
DATA_HOLDERS = {
    "hcloud:index/server:Server", "hcloud:index/volume:Volume", "hcloud:index/primaryIp:PrimaryIp",
    "cloudflare:index/r2Bucket:R2Bucket", "cloudflare:index/r2BucketLock:R2BucketLock",
    "pulumi-python:dynamic/verda:Volume",
}  # fmt: skip
KEPT = {"hcloud:index/volume:Volume", "cloudflare:index/r2Bucket:R2Bucket", "pulumi-python:dynamic/verda:Volume"}
CONTAINER = "docker:index/container:Container"
ON_A_HOST = ("docker:index/", "command:remote:")


@cache
def graph(variant: str) -> tuple[Entry, ...]:
    """What a stack registers; made once per test process, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.resource_graph", variant],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return tuple(json.loads(done.stdout))


@pytest.fixture(params=VARIANTS)
def registered(request: pytest.FixtureRequest) -> tuple[Entry, ...]:
    return graph(request.param)


def of_type(entries: tuple[Entry, ...], *types: str) -> list[Entry]:
    found = [entry for entry in entries if entry["type"] in types]
    assert found
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_is_the_one_that_was_reviewed(variant: str) -> None:
    assert drawn(list(graph(variant))) == (GOLDEN / f"{variant}.txt").read_text(), "make golden-graph writes it anew"


def test_only_the_declared_ports_are_public(registered: tuple[Entry, ...]) -> None:
    [firewall] = of_type(registered, "hcloud:index/firewall:Firewall")
    assert {(rule["protocol"], rule["port"]) for rule in firewall["inputs"]["rules"]} == {
        ("tcp", "22"), ("tcp", "80"), ("tcp", "443"), ("udp", "41641"),
    }  # fmt: skip
    published = {
        (entry["name"], int(port["external"]))
        for entry in of_type(registered, CONTAINER)
        for port in entry["inputs"]["ports"]
        if port["ip"] == "0.0.0.0"
    }
    assert published == {("nginx", 80), ("nginx", 443)}


def test_redis_is_on_an_internal_network_and_publishes_nothing(registered: tuple[Entry, ...]) -> None:
    redis = next(entry for entry in of_type(registered, CONTAINER) if entry["name"] == "redis")
    [network] = redis["inputs"]["networksAdvanced"]
    beside = {
        entry["name"]
        for entry in of_type(registered, CONTAINER)
        if network["name"] in {joined["name"] for joined in entry["inputs"]["networksAdvanced"]}
    }
    described = next(
        entry for entry in of_type(registered, "docker:index/network:Network")
        if entry["inputs"]["name"] == network["name"]
    )  # fmt: skip
    assert described["inputs"]["internal"] is True
    assert beside == {"redis", "queue-manager"}
    assert redis["inputs"]["ports"] == []


def test_every_holder_of_data_is_protected(registered: tuple[Entry, ...]) -> None:
    for entry in of_type(registered, *DATA_HOLDERS):
        if entry["name"].endswith("-scratch"):
            continue  # comes and goes with its host; nothing is kept on it
        assert entry["protect"], entry["name"]
        assert entry["retain_on_delete"] or entry["type"] not in KEPT, entry["name"]


def test_every_container_is_limited_and_has_no_power(registered: tuple[Entry, ...]) -> None:
    for entry in of_type(registered, CONTAINER):
        asked = entry["inputs"]
        assert asked["memory"] > 0 and asked["memorySwap"] == asked["memory"], entry["name"]
        assert float(asked["cpus"]) > 0, entry["name"]
        assert asked["readOnly"] is True, entry["name"]
        assert asked["capabilities"] == {"drops": ["ALL"]}, entry["name"]
        assert asked["securityOpts"] == ["no-new-privileges:true"], entry["name"]
        assert asked["user"] == "10001:10001", entry["name"]
        assert asked["logOpts"] == {"max-size": "10m", "max-file": "3"}, entry["name"]
        assert asked["restart"] == "unless-stopped" and asked["wait"] is True, entry["name"]
        assert asked["destroyGraceSeconds"] >= 30, entry["name"]


def test_everything_on_a_host_lives_and_is_replaced_with_it(registered: tuple[Entry, ...]) -> None:
    for entry in registered:
        if entry["type"].startswith(ON_A_HOST):
            assert entry["deleted_with"], entry["name"]
            assert entry["replace_with"] == [entry["deleted_with"]], entry["name"]
            assert entry["provider"] and not entry["provider"].startswith("default"), entry["name"]


def test_no_image_floats(registered: tuple[Entry, ...]) -> None:
    for entry in of_type(registered, "docker:index/remoteImage:RemoteImage"):
        assert "@sha256:" in entry["inputs"]["name"], entry["name"]
    for entry in of_type(registered, "docker:index/image:Image"):
        tag = entry["inputs"]["imageName"].rpartition(":")[2]
        assert len(tag) == 12 and int(tag, 16) >= 0, entry["name"]
        arguments = entry["inputs"]["build"]["args"]
        assert all("@sha256:" in value or len(value.rpartition(":")[2]) == 12 for value in arguments.values())


def test_files_reach_machines_as_secrets_on_standard_input_only(registered: tuple[Entry, ...]) -> None:
    for entry in of_type(registered, "command:remote:Command"):
        asked = entry["inputs"]
        assert set(asked["connection"]) == {"secret"}, entry["name"]
        assert "stdin" not in asked or set(asked["stdin"]) == {"secret"}, entry["name"]
        assert "R" * 43 not in asked["create"], entry["name"]
        assert not asked.get("triggers"), entry["name"]


def test_environments_hold_no_secret(registered: tuple[Entry, ...]) -> None:
    for entry in of_type(registered, CONTAINER):
        assert isinstance(entry["inputs"]["envs"], list), entry["name"]
        assert not any("R" * 43 in value for value in entry["inputs"]["envs"]), entry["name"]


def test_web_uis_start_in_four_batches() -> None:
    waits = {
        entry["name"]: {name for name in entry["depends_on"] if name.startswith("frontend-")}
        for entry in graph("prod") if entry["type"] == CONTAINER and entry["name"].startswith("frontend-")
    }  # fmt: skip
    layers: list[set[str]] = []
    while waits:
        started = {name for layer in layers for name in layer}
        layers.append({name for name, needed in waits.items() if needed <= started})
        waits = {name: needed for name, needed in waits.items() if name not in layers[-1]}
    assert [len(layer) for layer in layers] == [5, 5, 5, 5]


def test_both_stacks_are_made_by_the_same_program() -> None:
    kinds = [{entry["type"] for entry in graph(stack)} for stack in ("staging", "prod")]
    assert kinds[0] == kinds[1]
