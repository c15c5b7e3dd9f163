"""The client against the rehearsed API over real HTTP: one thing a name, clear refusals, nothing hangs."""

import pytest

from infra.rehearsal.providers.cloud import Fault
from infra.verda import errors
from infra.verda.api import VerdaApi
from infra.verda.client.machines import Order
from infra.verda.client.volumes import SHARED
from infra.verda.waiting import SystemClock
from tests.support.ports import free_port
from tests.support.verda_room import GPU, IMAGE, PLACE, HurriedClock, VerdaRoom

pytestmark = pytest.mark.slow

RENT = "^/v1/instances$"


def order(room: VerdaRoom, **changes: object) -> Order:
    key = room.api().account.ensure_ssh_key("operator", room.keys.public)
    wanted = {
        "hostname": room.name("gpu-1"),
        "description": "a test",
        "instance_type": GPU,
        "image": IMAGE,
        "location": PLACE,
        "ssh_key_ids": (key.id,),
        "startup_script_id": None,
        "os_volume_gb": 50,
    }
    return Order(**{**wanted, **changes})  # type: ignore[arg-type]


def test_a_machine_is_rented_once_for_its_name(room: VerdaRoom) -> None:
    wanted = order(room)

    first, second = room.api().machines.rent(wanted), room.api().machines.rent(wanted)

    assert first.id == second.id
    assert len(room.machines(wanted.hostname)) == 1


@pytest.mark.parametrize("answer", ["server_error", "html", "portal", "drop"])
def test_a_machine_whose_answer_was_lost_is_found_and_not_rented_again(room: VerdaRoom, answer: str) -> None:
    wanted = order(room)
    room.fail(Fault(op="post", urn=RENT, error=answer, when="after", times=1))

    rented = room.api().machines.rent(wanted)

    assert [machine["id"] for machine in room.machines(wanted.hostname)] == [rented.id]


def test_a_request_that_hangs_is_given_up_and_looked_for_until_it_shows(room: VerdaRoom) -> None:
    wanted = order(room)
    room.fail(Fault(op="post", urn=RENT, sleep=4, times=1))

    rented = room.api(clock=SystemClock(), answer_seconds=3).machines.rent(wanted)

    assert [machine["id"] for machine in room.machines(wanted.hostname)] == [rented.id]


def test_a_server_error_that_made_nothing_is_an_error(room: VerdaRoom) -> None:
    wanted = order(room)
    room.fail(Fault(op="post", urn=RENT, error="server_error"))

    with pytest.raises(errors.VerdaUnavailable, match="run the same command again"):
        room.api().machines.rent(wanted)

    assert room.machines(wanted.hostname) == []


@pytest.mark.parametrize(
    ("fault", "kind", "step"),
    [
        ("no_capacity", errors.NoCapacity, f"Free now: .*{GPU}"),
        ("insufficient_funds", errors.InsufficientFunds, "Top up the balance"),
        ("quota", errors.QuotaReached, "lower the count"),
        ("invalid_request", errors.VerdaError, "Correct the setting"),
    ],
)
def test_a_refusal_says_what_to_do_next(room: VerdaRoom, fault: str, kind: type[Exception], step: str) -> None:
    wanted = order(room)
    room.fail(Fault(op="post", urn=RENT, error=fault))

    with pytest.raises(kind, match=step):
        room.api().machines.rent(wanted)

    assert room.machines(wanted.hostname) == []


def test_wrong_credentials_are_named_as_settings_and_not_shown(room: VerdaRoom) -> None:
    room.fail(Fault(op="post", urn="oauth2/token", error="unauthorized_request"))

    with pytest.raises(errors.CredentialsRefused, match="comfyume:verda_client_secret") as refused:
        room.api().machines.all()

    assert room.client_secret.value not in str(refused.value)


def test_a_token_that_was_taken_back_is_renewed_within_the_call(room: VerdaRoom) -> None:
    api = room.api()
    api.machines.all()
    room.fail(Fault(op="get", urn=RENT, error="unauthorized_request", times=1))

    assert isinstance(api.machines.all(), list)


@pytest.mark.parametrize("answer", ["server_error", "html", "portal", "drop", "service_unavailable"])
def test_looking_is_repeated_until_verda_answers(room: VerdaRoom, answer: str) -> None:
    room.fail(Fault(op="get", urn="balance", error=answer, times=2))

    assert room.api().account.balance() == (250.0, "eur")


def test_an_api_that_stays_away_is_an_error_and_not_a_wait(room: VerdaRoom) -> None:
    room.fail(Fault(op="get", urn="balance", error="html"))

    with pytest.raises(errors.VerdaUnavailable, match="502"):
        room.api().account.balance()


def test_an_address_where_nobody_listens_is_an_error(room: VerdaRoom) -> None:
    nobody = VerdaApi("client", "secret", base_url=f"http://127.0.0.1:{free_port()}/v1", clock=HurriedClock())

    with pytest.raises(errors.VerdaUnavailable, match="check the network"):
        nobody.account.balance()


def test_two_machines_of_one_name_are_not_chosen_between(room: VerdaRoom) -> None:
    wanted = order(room)
    room.api().machines.rent(wanted)
    room.api().machines._order(wanted)

    with pytest.raises(errors.Ambiguous, match="2 machines"):
        room.api().machines.rent(wanted)


def test_a_machine_of_another_type_under_our_name_is_not_taken_over(room: VerdaRoom) -> None:
    wanted = order(room)
    room.api().machines.rent(wanted)

    with pytest.raises(errors.Ambiguous, match=r"1V100\.6V"):
        room.api().machines.rent(order(room, hostname=wanted.hostname, instance_type="1V100.6V"))


def test_deleting_a_machine_takes_its_system_disk_and_leaves_the_other_volumes(room: VerdaRoom) -> None:
    api, wanted = room.api(), order(room)
    machine = api.machines.rent(wanted)
    api.machines.wait_for(machine.id, "running")
    shared = api.volumes.ensure(name=room.name("sfs"), type_=SHARED, size=50, location=PLACE)
    api.volumes.attach(shared.id, machine.id)

    api.machines.delete(machine.id, os_volume_id=None)
    api.machines.delete(machine.id, os_volume_id=None)

    assert room.machines(wanted.hostname) == []
    assert room.volume(str(machine.os_volume_id))["status"] == "deleted"
    assert room.volume(shared.id)["status"] != "deleted"


def test_a_shared_volume_is_taken_from_one_machine_only(room: VerdaRoom) -> None:
    api = room.api()
    machines = [api.machines.rent(order(room)) for _ in range(2)]
    shared = api.volumes.ensure(name=room.name("sfs"), type_=SHARED, size=50, location=PLACE)
    for machine in machines:
        api.volumes.attach(shared.id, machine.id)

    api.volumes.detach(shared.id, machines[0].id)

    assert [entry["id"] for entry in room.volume(shared.id)["instances"]] == [machines[1].id]


def test_waiting_for_a_machine_without_capacity_ends_at_once(room: VerdaRoom) -> None:
    wanted = order(room)
    room.fail(Fault(op="provision", urn=wanted.hostname, error="no_capacity"))
    machine = room.api().machines.rent(wanted)

    with pytest.raises(errors.NoCapacity, match=wanted.hostname):
        room.api().machines.wait_for(machine.id, "running")


def test_waiting_has_an_end(room: VerdaRoom) -> None:
    wanted = order(room)
    room.fail(Fault(op="provision", urn=wanted.hostname, error="hold"))
    machine = room.api().machines.rent(wanted)

    with pytest.raises(errors.DeadlinePassed, match="within 10 s"):
        room.api().machines.wait_for(machine.id, "running", 10)
