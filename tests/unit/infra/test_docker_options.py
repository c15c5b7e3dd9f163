"""A container's inputs as Docker's API takes them: units, durations, and what stays unset."""

import pytest

from infra.rehearsal.machine_image import BASE, REDIS, stand_in_for
from infra.rehearsal.providers.docker_options import (
    container_options,
    gpu_request,
    healthcheck,
    host_options,
    mount,
    nanoseconds,
    update_options,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5s", 5 * 10**9), ("1m30s", 90 * 10**9), ("500ms", 5 * 10**8), ("1.5s", 15 * 10**8), ("0", 0), (None, 0)],
)
def test_a_duration_is_read_as_go_writes_it(text: str | None, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["5", "5 s", "fast", "5s!"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration such as 5s or 1m30s"):
        nanoseconds(text)


def test_memory_is_counted_in_megabytes_and_no_limit_stays_no_limit() -> None:
    assert update_options({"memory": 64, "memorySwap": -1}) == {"mem_limit": 64 * 2**20, "memswap_limit": -1}


def test_what_a_program_does_not_say_is_left_to_docker() -> None:
    assert container_options({"image": "redis"}) == {"ports": [], "labels": {}}
    assert host_options({"image": "redis"}, [], has_nvidia=False) == {}


def test_processors_are_counted_in_billionths() -> None:
    assert host_options({"cpus": "1.5"}, [], has_nvidia=False) == {"nano_cpus": 1_500_000_000}


def test_a_gpu_is_asked_for_only_where_the_engine_has_any() -> None:
    assert host_options({"gpus": "all"}, [], has_nvidia=False) == {}
    assert host_options({"gpus": "all"}, [], has_nvidia=True) == {"device_requests": [gpu_request("all")]}
    assert gpu_request("device=0,1")["DeviceIDs"] == ["0", "1"]
    assert gpu_request("2")["Count"] == 2


def test_a_health_check_keeps_its_own_command_and_leaves_the_rest_to_the_image() -> None:
    check = healthcheck({"tests": ["CMD", "true"], "interval": "5s"})

    assert (check["Test"], check["Interval"], check["Timeout"]) == (["CMD", "true"], 5 * 10**9, 0)


def test_a_mount_says_where_it_lies_on_the_engines_machine() -> None:
    bound = mount(
        {"type": "bind", "target": "/data", "source": "/srv/x", "readOnly": True}, "/cloud/machines/app/srv/x"
    )

    assert (bound["Source"], bound["Target"], bound["ReadOnly"]) == ("/cloud/machines/app/srv/x", "/data", True)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("redis:7.2-bookworm@sha256:" + "0" * 64, REDIS),
        ("docker.io/library/redis:7", REDIS),
        ("python:3.11-slim-bookworm", BASE),
        ("comfyume/python:0123456789ab", ""),
        ("example.org:5000/redis:7", ""),
        ("portainer/portainer-ce:2", ""),
    ],
)
def test_only_images_of_a_registry_that_were_made_here_have_a_stand_in(reference: str, expected: str) -> None:
    assert stand_in_for(reference) == expected
