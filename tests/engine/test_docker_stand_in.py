"""Docker's stand-in: what a program declares really runs, on this machine's engine, with the real provider's traps."""

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal import made_up
from infra.rehearsal.automation import Rehearsal
from infra.rehearsal.docker_engine import docker
from infra.rehearsal.machines import Machine
from infra.rehearsal.providers.cloud import Cloud
from infra.rehearsal.providers.docker import StandIn
from infra.rehearsal.providers.docker_host import published_port
from infra.rehearsal.providers.docker_image import IMAGE, context_digest
from infra.rehearsal.providers.values import UNKNOWN, PartialFailure, Properties, ProviderFailure, Request
from tests.engine.machine_room import MachineRoom, host_key, machine_room
from tests.support.wait import wait_for

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).with_name("containers")
CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
BASE = "comfyume-rehearsal-base"


@dataclass
class Host:
    """One rehearsed machine and a stand-in that speaks to its engine as the program's provider does."""

    room: MachineRoom
    machine: Machine
    key_file: Path

    def stand_in(self, **configuration: Any) -> StandIn:
        """Configured as the engine does it."""
        made = StandIn("docker", self.room.cloud)
        known = f"KnownHostsCommand=/bin/echo {self.machine.address} {self.host_key}"
        options = [
            "-i", str(self.key_file), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
            "-o", "UserKnownHostsFile=/dev/null", "-o", known,
        ]  # fmt: skip
        made.configure({"host": f"ssh://root@{self.machine.address}", "sshOpts": options, **configuration})
        return made

    @property
    def host_key(self) -> str:
        return host_key(self.machine.address)

    def container(self, role: str, **inputs: Any) -> Request:
        """A container that sleeps, unless the inputs say otherwise."""
        defaults = {"name": self.room.name(role), "image": BASE, "command": ["sleep", "600"]}
        return Request(type=CONTAINER, name=role, urn=f"urn:{role}", inputs={**defaults, **inputs})


@pytest.fixture(scope="module")
def host(docker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("docker")
    with machine_room(folder / "cloud") as room:
        key_file = folder / "key"
        key_file.touch(mode=0o600)
        key_file.write_text(room.keys.private.value)
        yield Host(room, room.machine(), key_file)


def inspect(container: str) -> dict[str, Any]:
    """Docker's own view of a container."""
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


def again(request: Request, id_: str, outputs: Properties, **inputs: Any) -> Request:
    """The next question of the engine about the same resource."""
    return Request(
        type=request.type, name=request.name, urn=request.urn, id=id_, inputs={**request.inputs, **inputs},
        old_inputs=request.inputs, old_outputs=outputs,
    )  # fmt: skip


@pytest.fixture
def program(pulumi_cli: Path, docker_here: None, tmp_path: Path) -> Iterator[tuple[Rehearsal, MachineRoom, Machine]]:
    """The program of a few containers, its machine started, nothing deployed yet."""
    rehearsal = Rehearsal(tmp_path / "r", source=PROGRAM, machines=True)
    with machine_room(rehearsal.cloud.folder) as room:
        machine = room.machine()
        key_file, context = tmp_path / "key", tmp_path / "web"
        key_file.touch(mode=0o600)
        key_file.write_text(room.keys.private.value)
        shutil.copytree(PROGRAM / "web", context)
        for name, value in {
            "prefix": room.name("stack"), "address": machine.address, "tailnet_address": machine.tailnet_address,
            "host_key": host_key(machine.address), "key_file": str(key_file), "context": str(context),
        }.items():  # fmt: skip
            rehearsal.with_setting(f"comfyume:{name}", value)
        rehearsal.set_secret("comfyume:private_key", room.keys.private)
        rehearsal.set_secret("comfyume:note", made_up.token())
        yield rehearsal, room, machine


def test_a_program_runs_heals_changes_and_goes_by_the_real_engine(
    program: tuple[Rehearsal, MachineRoom, Machine], tmp_path: Path
) -> None:
    rehearsal, room, machine = program
    redis, web = room.name("stack-redis"), room.name("stack-web")
    first = rehearsal.up()
    quiet = rehearsal.preview(expect_no_changes=True)
    page = urllib.request.urlopen(
        f"http://127.0.0.1:{published_port(rehearsal.cloud.folder, web, 80)}/page.html"
    ).read()
    inside = room.output(machine, f"curl -sf http://{machine.tailnet_address}:8180/page.html; cat /srv/comfyume/note")
    recorded = (rehearsal.cloud.folder / "cloud.json").read_text()

    assert (quiet.changes, page, inside.splitlines()[0]) == ([], b"first page\n", "first page")
    assert rehearsal.found_canaries([inside]) == ["comfyume:note"]
    assert rehearsal.found_canaries([first.text, recorded, rehearsal.state_text()]) == []

    larger = rehearsal.with_setting("comfyume:megabytes", 96).up()
    docker("rm", "--force", web)
    docker("kill", redis)
    seen, healed = rehearsal.refresh(), rehearsal.up()

    assert larger.names("update") == {"redis"}
    assert seen.names("delete") == {"redis", "web"}
    assert healed.names("create") == {"redis", "web"}
    assert inspect(redis)["HostConfig"]["Memory"] == 96 * 2**20

    (tmp_path / "web" / "unseen").write_text("not let through by the allow-list")
    unseen = rehearsal.preview(expect_no_changes=True)
    (tmp_path / "web" / "page.html").write_text("second page\n")
    changed = rehearsal.up()

    assert unseen.changes == []
    assert {(step.op, step.type, step.name) for step in changed.changes if "replace" not in step.op} == {
        ("update", "docker:index/image:Image", "web")
    }
    assert changed.names("replace") == {"web"}

    rehearsal.destroy()
    left = docker("ps", "--all", "--format", "{{.Names}}").splitlines()
    assert [name for name in left if name in (redis, web)] == []
    assert room.shell(machine, "test -e /srv/comfyume/note").returncode == 1
    docker("rmi", f"{room.name('stack')}/web:try")


def test_limits_and_locks_are_those_that_were_declared(host: Host) -> None:
    stand_in = host.stand_in()
    made = stand_in.create(
        host.container(
            "locked", user="10001:10001", readOnly=True, capabilities={"drops": ["ALL"]}, memory=48, memorySwap=48,
            securityOpts=["no-new-privileges:true"], cpus="0.5", tmpfs={"/tmp": "size=8m"}, envs=["A=b"],
            logDriver="json-file", logOpts={"max-size": "1m"}, restart="unless-stopped", stopTimeout=7, init=True,
            labels=[{"label": "stack", "value": "try"}], hosts=[{"host": "there", "ip": "192.0.2.1"}],
        )
    )  # fmt: skip
    seen = inspect(made.id)
    limits = seen["HostConfig"]

    assert (limits["Memory"], limits["MemorySwap"], limits["NanoCpus"]) == (48 * 2**20, 48 * 2**20, 500_000_000)
    assert (limits["ReadonlyRootfs"], limits["CapDrop"], limits["Init"]) == (True, ["ALL"], True)
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Tmpfs"] == {"/tmp": "size=8m"}
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    assert limits["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert limits["ExtraHosts"] == ["there:192.0.2.1"]
    assert (seen["Config"]["User"], seen["Config"]["StopTimeout"]) == ("10001:10001", 7)
    assert seen["Config"]["Labels"]["stack"] == "try"


def test_a_failed_wait_stays_in_the_state_and_the_next_update_calls_it_well(host: Host) -> None:
    stand_in = host.stand_in()
    request = host.container("ill", wait=True, waitTimeout=1, healthcheck={"tests": ["CMD", "false"], "interval": "1s"})
    with pytest.raises(PartialFailure, match="is not healthy after 1 s") as failed:
        stand_in.create(request)
    outputs = stand_in.update(again(request, failed.value.id, failed.value.outputs))

    assert failed.value.outputs["name"] == outputs["name"] == host.room.name("ill")
    assert inspect(failed.value.id)["State"]["Health"]["Status"] != "healthy"


def test_a_container_that_ends_at_once_is_a_failure(host: Host) -> None:
    with pytest.raises(PartialFailure, match="exited immediately with status 3"):
        host.stand_in().create(host.container("short", command=["sh", "-c", "exit 3"], wait=True, waitTimeout=120))


def test_changes_replace_update_or_are_only_recorded_as_with_the_real_provider(host: Host) -> None:
    stand_in = host.stand_in()
    request = host.container("changed", envs=["A=1", "B=2"], memory=32, memorySwap=32)
    made = stand_in.create(request)

    def replaced(**inputs: Any) -> tuple[set[str], set[str]]:
        found = stand_in.diff(again(request, made.id, made.outputs, **inputs))
        return set(found.changed), set(found.replaces)

    recorded = again(request, made.id, made.outputs, healthcheck={"tests": ["CMD", "true"]})
    stand_in.update(recorded)

    assert replaced(envs=["B=2", "A=1"]) == (set(), set())
    assert replaced(envs=["A=1", "B=3"]) == ({"envs"}, {"envs"})
    assert replaced(memory=64, memorySwap=64) == ({"memory", "memorySwap"}, set())
    assert replaced(healthcheck={"tests": ["CMD", "true"]}) == ({"healthcheck"}, set())
    assert inspect(made.id)["Config"].get("Healthcheck") is None


def test_a_refresh_notices_what_was_removed_and_a_delete_takes_it_calmly(host: Host) -> None:
    stand_in = host.stand_in()
    request = host.container("vanishing")
    made = stand_in.create(request)
    there = stand_in.read(again(request, made.id, made.outputs))
    docker("rm", "--force", made.id)
    gone = stand_in.read(again(request, made.id, made.outputs))
    stand_in.delete(again(request, made.id, made.outputs))

    assert there is not None
    assert there.inputs == request.inputs
    assert gone is None


def test_a_network_can_be_cut_off_and_waits_for_its_containers_to_leave(host: Host) -> None:
    stand_in = host.stand_in()
    name = host.room.name("inner")
    wanted = Request(type=NETWORK, name="inner", urn="urn:inner", inputs={"name": name, "internal": True})
    network = stand_in.create(wanted)
    inside = host.container("inside", networksAdvanced=[{"name": name, "aliases": ["redis"]}])
    container = stand_in.create(inside)
    seen = inspect(container.id)["NetworkSettings"]["Networks"][name]
    stand_in.delete(again(inside, container.id, container.outputs))

    assert "redis" in seen["Aliases"]
    assert container.outputs["networkDatas"][0]["ipAddress"] == seen["IPAddress"]
    assert json.loads(docker("network", "inspect", name))[0]["Internal"] is True
    with pytest.raises(ProviderFailure, match="already exists"):
        stand_in.create(wanted)
    stand_in.delete(again(wanted, network.id, network.outputs))
    assert stand_in.read(again(wanted, network.id, network.outputs)) is None


def test_a_name_in_use_is_refused_in_dockers_words(host: Host) -> None:
    stand_in = host.stand_in()
    stand_in.create(host.container("twice"))

    with pytest.raises(ProviderFailure, match="already in use by container"):
        stand_in.create(host.container("twice"))


def test_only_what_the_machine_shares_can_be_mounted(host: Host) -> None:
    stand_in, mounts = host.stand_in(), {"type": "bind", "target": "/x"}

    with pytest.raises(ProviderFailure, match="bind source path does not exist: /srv/nowhere"):
        stand_in.create(host.container("nowhere", mounts=[{**mounts, "source": "/srv/nowhere"}]))
    with pytest.raises(ProviderFailure, match="/root is no folder that a rehearsed machine shares"):
        stand_in.create(host.container("outside", mounts=[{**mounts, "source": "/root"}]))


def test_a_machine_is_reached_only_with_its_own_key_and_host_key(host: Host, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.touch(mode=0o600)
    stranger.write_text(made_up.ssh_keys().private.value)
    other = f"KnownHostsCommand=/bin/echo {host.machine.address} {made_up.ssh_keys().public}"
    options = ["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"]

    for wrong, words in (
        ([*options, "-o", "StrictHostKeyChecking=no", "-i", str(stranger)], "Permission denied"),
        ([*options, "-o", "StrictHostKeyChecking=yes", "-i", str(host.key_file), "-o", other], "verification failed"),
    ):
        with pytest.raises(ProviderFailure, match=words):
            host.stand_in(sshOpts=wrong).create(host.container("unreached"))
    with pytest.raises(ProviderFailure, match="No route to host"):
        host.stand_in(host="ssh://root@192.0.2.77").create(host.container("unreached"))


def test_the_hash_of_a_context_sees_what_the_allow_list_lets_through(tmp_path: Path) -> None:
    context = tmp_path / "web"
    shutil.copytree(PROGRAM / "web", context)
    build = {"context": str(context), "dockerfile": str(context / "Dockerfile")}
    first = context_digest(build)
    (context / "other").write_text("x")
    os.utime(context / "page.html", (1, 1))
    same = context_digest(build)
    (context / "page.html").write_text("y")

    assert first == same != context_digest(build)


def test_a_missing_dockerfile_is_named_before_anything_is_built(host: Host, tmp_path: Path) -> None:
    inputs = {"imageName": "x", "build": {"context": str(tmp_path), "dockerfile": str(tmp_path / "Dockerfile")}}
    checked = host.stand_in().check(
        Request(type="docker:index/image:Image", name="x", urn="urn:x", inputs={**inputs, "skipPush": True})
    )

    assert [problem.reason for problem in checked.problems] == [
        f'"build": No such file or directory: {tmp_path}/Dockerfile'
    ]


def test_a_failing_build_shows_its_last_words_and_no_arguments(host: Host, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nARG TOKEN\nRUN echo last words && false\n")
    build = {"context": str(tmp_path), "dockerfile": str(tmp_path / "Dockerfile"), "args": {"TOKEN": "canary"}}
    request = Request(
        type="docker:index/image:Image", name="x", urn="urn:x", inputs={"imageName": "failing", "build": build}
    )

    with pytest.raises(ProviderFailure, match="last words") as failed:
        host.stand_in().create(request)
    assert "canary" not in str(failed.value)


def test_a_container_over_its_memory_limit_dies_alone_and_returns(host: Host) -> None:
    greedy = "import time; time.sleep(1); x = bytearray(256 * 2**20)"
    request = host.container("greedy", command=["python3", "-c", greedy], memory=32, memorySwap=32, restart="always")
    made = host.stand_in().create(request)

    assert wait_for(lambda: inspect(made.id)["RestartCount"], "the container to be started again")
    docker("rm", "--force", made.id)


def test_without_machines_everything_is_only_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUME_REHEARSAL_MACHINES", "none")
    stand_in = StandIn("docker", Cloud(tmp_path))
    build = {"context": "x", "contextDigest": "1"}
    image = Request(type=IMAGE, name="web", urn="urn:web", inputs={"imageName": "web:try", "build": build})
    made = stand_in.create(image)
    changed = again(image, made.id, made.outputs, build={**build, "contextDigest": "2"})

    assert stand_in.preview_update(changed)["repoDigest"] == UNKNOWN
    assert stand_in.update(changed)["repoDigest"] != made.outputs["repoDigest"]
    assert [record.name for record in stand_in.cloud.records(IMAGE)] == ["web"]
