"""A sample of the pairs with all addresses, names and headers; `make isolation` tries all pairs of twenty."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.addresses import door_addresses, sign_in_addresses, web_ui_addresses
from tests.isolation.people import Caller, load_and_save, move_in, sign_in
from tests.isolation.sweep import furnished, listen_to_everybody
from tests.support.workshop_room import Workshop, workshop_room

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAIRS = (("bob", "alice"), ("alice", "carol"))
"""Alice's job runs, the others' wait."""

NAMES_EACH = 5
"""With how many of the foreign names each address is tried for a pair; the first of them change from pair to pair."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Three participants behind one door."""
    with workshop_room(tmp_path_factory.mktemp("isolation")) as room:
        yield room


def test_the_addresses_are_read_from_the_applications(workshop: Workshop, tmp_path: Path) -> None:
    web_ui = {(address.method, address.path) for address in web_ui_addresses(tmp_path)}
    assert {("GET", "/api/view"), ("POST", "/prompt"), ("GET", "/ws"), ("GET", "/{path}")} <= web_ui
    door = {address.path for address in door_addresses(workshop.configuration)}
    assert {"/_verify", "/@denied", "/", "/sign-out", "/api/", "/alice/", "/carol"} <= door
    assert ("GET", "/verify") in {(address.method, address.path) for address in sign_in_addresses(tmp_path)}


async def test_nobody_reads_changes_or_hears_anything_of_anybody_else(workshop: Workshop, tmp_path: Path) -> None:
    async with furnished(workshop, tmp_path) as room:
        complaints = []
        for turn, (attacker, victim) in enumerate(PAIRS):
            complaints += await room.try_pair(room.people[attacker], room.people[victim], turn, NAMES_EACH)
        assert complaints == []
        assert await listen_to_everybody(room) == []
        secrets = [person.secret for person in room.people.values()]
        assert [secret for secret in secrets if secret in workshop.logs()] == []


async def test_a_picture_of_somebody_else_is_refused_when_run_is_pressed(workshop: Workshop) -> None:
    async with Caller(workshop) as caller:
        alice, bob = await sign_in(caller, workshop, "alice"), await sign_in(caller, workshop, "bob")
        await move_in(caller, bob)
        picture = bob.picture_name
        for name in (
            picture, f"{picture} [input]", f"../bob/{picture}", f"../bob/{picture} [input]", f"/bob/{picture}",
            f"..%2Fbob%2F{picture}", f"..\\bob\\{picture}", f"../../outputs/bob/{bob.jobs[0]}/output/x.png [output]",
            f"{bob.output['subfolder']}/{bob.output['filename']} [output]", f"{bob.output['filename']} [output]",
            str(bob.folder / "user" / "comfy.settings.json"), "../../../etc/hostname", f"{picture}\0.png",
        ):  # fmt: skip
            answer = await alice.own(caller, "POST", "/api/prompt", json={"prompt": load_and_save(name, "taken")})
            assert answer.status == 400, (name, answer.text)
            told: dict[str, Any] = answer.json()
            assert told["error"]["message"], name
            assert bob.secret not in answer.text.replace(name, ""), name
        assert (await alice.own(caller, "GET", "/queue")).json() == {"queue_running": [], "queue_pending": []}
