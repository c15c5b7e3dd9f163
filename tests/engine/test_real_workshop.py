"""The whole stack in real containers on a real Docker engine, deployed by the real engine: what Docker itself reports.

The longest test of all, because images are built: `make test-engine` runs it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal import machines
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.docker_engine import DockerFailed, docker
from infra.rehearsal.machine_container import sweep_left_over
from infra.rehearsal.visit import password_of, run_one_job, visiting
from infra.rehearsal.workshop import rehearsed_workshop
from tests.support.wait import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]

SERVICES = ("redis", "queue-manager", "auth", "admin", "nginx", "gpu-1-worker-1")
PEOPLE = ("user001", "user002", "user003")
CONTAINERS = [f"comfyume-staging-{name}" for name in (*SERVICES, *(f"frontend-{person}" for person in PEOPLE))]


@pytest.fixture(scope="module")
def workshop(pulumi_cli: Path, docker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Staging with one GPU host, as `make rehearse` deploys it."""
    sweep_left_over()
    with rehearsed_workshop(tmp_path_factory.mktemp("real"), machines=True) as rehearsal:
        rehearsal.with_setting("comfyume:gpu.count", 1)
        rehearsal.with_setting("comfyume:limits.worker", {"memory_mb": 1024, "cpus": 1})
        try:
            rehearsal.up()
            yield rehearsal
        finally:
            machines.remove_machines(rehearsal.cloud.folder)


def inspected(container: str) -> dict[str, Any]:
    """What Docker says about a container."""
    [found] = json.loads(docker("inspect", container))
    return dict(found)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_runs_as_declared(workshop: Rehearsal, container: str) -> None:
    found = inspected(container)
    assert found["State"]["Health"]["Status"] == "healthy"
    host, config = found["HostConfig"], found["Config"]
    assert config["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert 0 < host["Memory"] == host["MemorySwap"] and host["NanoCpus"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}


def test_one_job_goes_from_the_front_door_to_the_gpu_host_and_back(workshop: Rehearsal) -> None:
    assert len(run_one_job(workshop, "user001").picture) > 100


def test_nobody_sees_another_ones_web_ui(workshop: Rehearsal) -> None:
    with visiting(workshop, "user001") as client:
        assert client.get("/user002/").status_code in (401, 403)


def test_redis_is_reached_from_its_network_only(workshop: Rehearsal) -> None:
    assert not inspected("comfyume-staging-redis")["HostConfig"]["PortBindings"]
    [network] = inspected("comfyume-staging-redis")["NetworkSettings"]["Networks"].values()
    knock = f"import socket; socket.create_connection(('{network['IPAddress']}', 6379), 3)"
    docker("exec", "comfyume-staging-queue-manager", "python", "-c", knock)
    for stranger in ("frontend-user001", "auth", "admin", "gpu-1-worker-1"):
        with pytest.raises(DockerFailed, match=r"timed out|unreachable"):
            docker("exec", f"comfyume-staging-{stranger}", "python", "-c", knock)


def test_no_secret_shows_in_containers_logs_processes_or_outputs(workshop: Rehearsal) -> None:
    shown = [docker("inspect", *CONTAINERS)]
    shown += [docker("logs", container) for container in CONTAINERS]
    shown += [
        docker("exec", machine.container, "ps", "axww") for machine in machines.list_machines(workshop.cloud.folder)
    ]
    shown.append(json.dumps(workshop.outputs()))
    assert workshop.found_canaries(shown) == []
    whole = "\n".join(shown)
    assert not [person for person in PEOPLE if password_of(workshop, person) in whole]


def test_a_second_up_does_nothing(workshop: Rehearsal) -> None:
    assert workshop.up().changes == []


def test_one_more_participant_restarts_nobody(workshop: Rehearsal) -> None:
    before = {container: inspected(container)["State"]["StartedAt"] for container in CONTAINERS}
    workshop.with_setting("comfyume:participants.newcomer", {}).up()
    assert len(run_one_job(workshop, "newcomer").picture) > 100
    assert {container: inspected(container)["State"]["StartedAt"] for container in CONTAINERS} == before


def test_a_container_over_its_memory_dies_alone_and_returns(workshop: Rehearsal) -> None:
    hungry = "comfyume-staging-frontend-user003"
    before = {container: inspected(container)["State"]["StartedAt"] for container in CONTAINERS}
    # A full temporary folder and many small processes: the kernel ends the largest process, which is the service.
    eater = "python -c 'import time; kept = bytearray(b\"x\" * (25 << 20)); time.sleep(600)'"
    full = f"head -c 60000000 /dev/zero > /tmp/full; for n in 1 2 3 4 5 6 7 8; do {eater} & done; wait"
    docker("exec", "--detach", hungry, "sh", "-c", full)
    wait_for(lambda: inspected(hungry)["State"]["StartedAt"] != before[hungry], "the hungry one to be started again")
    wait_for(lambda: inspected(hungry)["State"]["Health"]["Status"] == "healthy", "the hungry one to be well again")
    after = {container: inspected(container)["State"]["StartedAt"] for container in CONTAINERS}
    assert {container for container in CONTAINERS if after[container] != before[container]} == {hungry}


def test_the_host_goes_with_a_verified_backup(workshop: Rehearsal) -> None:
    evening = workshop.with_setting("comfyume:gpu.count", 0).up()
    assert "gpu-1" in evening.names("delete")
    assert [machine.name for machine in machines.list_machines(workshop.cloud.folder)] == ["comfyume-staging-app"]
    assert list(workshop.cloud.folder.rglob("comfyume-staging-gpu-1-*.tar")), "its backup lies in the rehearsed cloud"
