"""`python -m infra.verda`: the table and the JSON, against the rehearsed API, with a state on stdin."""

import json
import os
import subprocess
import sys

import pytest

from infra.verda.resources import VerdaInstanceProvider
from tests.support.verda_room import PLACE, VerdaRoom

pytestmark = pytest.mark.slow


def command(room: VerdaRoom, *words: str, state: object = None) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "VERDA_CLIENT_ID": "client",
        "VERDA_CLIENT_SECRET": room.client_secret.value,
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.verda", *words],
        input=json.dumps(state), capture_output=True, text=True, env=environment, timeout=120, check=False,
    )  # fmt: skip


def test_a_machine_that_the_state_lost_is_named_with_its_price(room: VerdaRoom) -> None:
    stack = room.name("x").split("-")[1]
    made = room.provider(VerdaInstanceProvider).create(room.host(hostname=f"comfyume-{stack}-gpu-1"))
    assert made.outs is not None
    known = {
        "resources": [
            {
                "type": "pulumi-python:dynamic/verda:Instance",
                "id": made.id,
                "outputs": {"os_volume_id": made.outs["os_volume_id"]},
            }
        ]
    }

    clean = command(room, "orphans", "--stack", stack, "--state", "-", state={"deployment": known})
    lost = command(room, "orphans", "--stack", stack, "--state", "-", "--json", state={"deployment": {}})
    shown = command(room, "orphans", "--stack", stack, "--state", "-", state={"deployment": {}})

    assert (clean.returncode, clean.stderr) == (0, "")
    assert "Nothing is billed" in clean.stdout
    assert [thing["kind"] for thing in json.loads(lost.stdout)] == ["machine", "volume"]
    assert (lost.returncode, shown.returncode) == (1, 1)
    assert made.id in shown.stdout and "2.8" in shown.stdout
    assert room.client_secret.value not in shown.stdout + shown.stderr


def test_a_kept_volume_is_named_too(room: VerdaRoom) -> None:
    stack = room.name("x").split("-")[1]
    room.api().volumes.ensure(name=f"comfyume-{stack}-sfs", type_="NVMe_Shared", size=50, location=PLACE)

    lost = command(room, "orphans", "--stack", stack, "--state", "-", "--json", state={"deployment": {}})

    assert [thing["name"] for thing in json.loads(lost.stdout)] == [f"comfyume-{stack}-sfs"]


def test_a_state_that_is_none_is_refused_in_one_sentence(room: VerdaRoom) -> None:
    refused = command(room, "orphans", "--stack", "staging", "--state", "-", state=["no", "state"])

    assert refused.returncode == 2
    assert refused.stderr.strip() == "state: is not an exported state; make it with `pulumi stack export`"


def test_the_price_list_says_where_each_price_comes_from(room: VerdaRoom) -> None:
    listed = command(room, "prices", "--json")

    assert {price["instance_type"] for price in json.loads(listed.stdout)} >= {"1H200.141S.44V", "1B300.30V"}
    assert all(price["basis"] for price in json.loads(listed.stdout))
