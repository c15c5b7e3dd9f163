"""A hostile classroom: whatever one participant tries is refused in a sentence, and the others do not notice."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import httpx
import pytest

from tests.isolation.hostile import HOSTILE, Hostile, bomb_png
from tests.isolation.people import Answer, Caller, Person, sign_in, submit, upload
from tests.isolation.raw import open_line, send_bytes
from tests.support.queue_process import token_of
from tests.support.wait import wait_until
from tests.support.web_ui import picture_graph
from tests.support.workshop_room import DOOR_SECRET, Workshop, password_of, workshop_room

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUOTA_BYTES = 2**20
LONGEST_SENTENCE = 400


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Three participants, of whom alice is the hostile one."""
    with workshop_room(tmp_path_factory.mktemp("hostile"), QUOTA_BYTES=str(QUOTA_BYTES)) as room:
        yield room


@pytest.fixture
async def caller(workshop: Workshop) -> AsyncIterator[Caller]:
    """Sends what it is given; after the test bob's web UI has to answer as ever."""
    async with Caller(workshop) as running:
        yield running
        bob = await sign_in(running, workshop, "bob")
        assert (await bob.own(running, "GET", "/api/settings")).status == 200


@pytest.fixture
async def alice(caller: Caller, workshop: Workshop) -> Person:
    """The hostile participant, signed in."""
    return await sign_in(caller, workshop, "alice")


def sentence_of(answer: Answer) -> str:
    """What a person reads of a refusal."""
    text = answer.body.decode(errors="replace")
    try:
        told = json.loads(text)
    except ValueError:
        return re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL).strip()
    if not isinstance(told, dict):
        return text
    error = told.get("detail") or told.get("error", "")
    return str(error.get("message")) if isinstance(error, dict) else str(error)


def assert_tells_nothing(workshop: Workshop, text: str) -> None:
    """No traceback, no folder, no secret."""
    forbidden = (
        "Traceback",
        'File "',
        str(workshop.folder),
        DOOR_SECRET,
        token_of("alice"),
        token_of("bob"),
        "redis:6",
    )
    assert [word for word in forbidden if word in text] == []


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.what)
async def test_it_is_refused_in_one_sentence(
    workshop: Workshop, caller: Caller, alice: Person, hostile: Hostile
) -> None:
    headers = {"Cookie": alice.cookie} | hostile.headers
    answer = await caller.ask(hostile.method, f"/alice{hostile.path}", headers, **hostile.more)
    assert answer.status in hostile.statuses, answer.text[:500]
    assert "set-cookie: x=y" not in answer.headers.lower()
    assert_tells_nothing(workshop, answer.text)
    assert len(sentence_of(answer)) <= LONGEST_SENTENCE


async def test_a_decompression_bomb_is_not_decoded(workshop: Workshop, caller: Caller, alice: Person) -> None:
    assert (await upload(caller, alice, "bomb.png", bomb_png())).status == 200
    for asked in ("preview=webp;90", "channel=a", "channel=rgb"):
        answer = await alice.own(caller, "GET", f"/view?filename=bomb.png&type=input&{asked}")
        assert answer.status == 413
        assert "too many pixels" in sentence_of(answer)
    mask = aiohttp.FormData()
    mask.add_field("image", bomb_png(), filename="mask.png")
    mask.add_field("original_ref", '{"filename": "bomb.png", "type": "input"}')
    assert (await alice.own(caller, "POST", "/upload/mask", data=mask)).status == 413


async def test_a_picture_format_that_starts_programs_is_not_read(caller: Caller, alice: Person) -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(%pipe%id) (w) file\n"
    await upload(caller, alice, "drawing.eps", script)
    answer = await alice.own(caller, "GET", "/view?filename=drawing.eps&type=input&preview=webp")
    assert answer.status == 400
    assert "use PNG, JPEG or WebP" in sentence_of(answer)


async def test_markup_and_scripts_are_only_ever_downloads(caller: Caller, alice: Person) -> None:
    for name in ("page.html", "page.xhtml", "drawing.svg", "code.js", "style.css", "feed.xml"):
        await upload(caller, alice, name, b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
        await alice.own(caller, "POST", f"/userdata/{name}", data=b"<script>alert(1)</script>")
        for path in (f"/view?filename={name}&type=input", f"/userdata/{name}"):
            shown = (await alice.own(caller, "GET", path)).headers.lower()
            assert "content-type: application/octet-stream" in shown, path
            assert "content-disposition: attachment" in shown, path
            assert "nosniff" in shown, path
        await alice.own(caller, "DELETE", f"/userdata/{name}")


async def test_a_link_in_the_own_folder_leads_nowhere(workshop: Workshop, caller: Caller, alice: Person) -> None:
    own, foreign = alice.folder / "user", workshop.web_uis["bob"].token_file
    (own / "stolen.json").symlink_to(foreign)
    (own / "stolen").symlink_to(foreign.parent)
    try:
        for name in ("stolen.json", "stolen%2Fbob.token", "stolen%2Fbob%2Fuser%2Fcomfy.settings.json"):
            for method in ("GET", "POST", "DELETE"):
                assert (await alice.own(caller, method, f"/userdata/{name}")).status == 403, (method, name)
        for path in ("/userdata?dir=.&recurse=true", "/v2/userdata", "/userdata?dir=stolen"):
            assert "bob" not in (await alice.own(caller, "GET", path)).text
    finally:
        (own / "stolen.json").unlink()
        (own / "stolen").unlink()


async def test_empty_files_use_the_quota_too(caller: Caller, alice: Person) -> None:
    statuses = set()
    for number in range(QUOTA_BYTES // 4096 + 2):
        answer = await alice.own(caller, "POST", f"/userdata/many%2F{number}", data=b"")
        statuses.add(answer.status)
        if answer.status == 507:
            assert "delete some saved workflows" in sentence_of(answer)
            break
    assert statuses == {200, 507}
    for file in (await alice.own(caller, "GET", "/userdata?dir=many")).json():
        assert (await alice.own(caller, "DELETE", f"/userdata/many%2F{file}")).status == 204


async def test_ranges_never_give_more_than_the_file(caller: Caller, alice: Person) -> None:
    await upload(caller, alice, "ranged.bin", b"x" * 100)
    await alice.own(caller, "POST", "/userdata/ranged.json", data=b"x" * 100)
    for asked in ("bytes=" + ",".join(["0-"] * 1000), "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000, "bytes=9-1",
                  "bytes=0-" + "9" * 30, "lines=1-2", "bytes=a-b"):  # fmt: skip
        for path in ("/view?filename=ranged.bin&type=input", "/userdata/ranged.json"):
            headers = {"Cookie": alice.cookie, "Range": asked}
            answer = await caller.ask("GET", f"/alice{path}", headers)
            assert answer.status in (200, 206, 400, 416), (asked[:20], path, answer.text[:300])
            assert len(answer.body) <= LONGEST_SENTENCE


async def test_a_method_in_a_header_is_no_method(caller: Caller, alice: Person) -> None:
    await alice.own(caller, "POST", "/userdata/kept.json", data=b"{}")
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        await caller.ask("GET", "/alice/userdata/kept.json", {"Cookie": alice.cookie, name: "DELETE"})
    moved = await alice.own(caller, "POST", "/userdata/kept.json/move/..%252F..%252Fbob%252Fuser%252Fx.json")
    assert moved.status == 403
    assert (await alice.own(caller, "GET", "/userdata/kept.json")).body == b"{}"


async def test_a_cookie_with_a_path_in_it_opens_nothing(caller: Caller, alice: Person) -> None:
    value = alice.cookie.partition("=")[2]
    for cookie in (f"comfyume_session=/bob/{value}", f"comfyume_session={value}; Path=/bob/", "comfyume_session=../bob",
                   f"{alice.cookie}; comfyume_session=bob", "comfyume_session=" + "x" * 7000):  # fmt: skip
        answer = await caller.ask("GET", "/bob/api/settings", {"Cookie": cookie})
        assert answer.status in (400, 401), cookie[:40]


async def test_a_request_past_the_door_is_refused(workshop: Workshop) -> None:
    async with httpx.AsyncClient(base_url=workshop.web_uis["bob"].url, timeout=60) as client:
        for headers in ({}, {"X-Auth-Name": "bob"}, {"X-Door-Secret": "guess", "Comfy-User": "bob"}):
            answer = await client.get("/api/settings", headers=headers)
            assert answer.status_code == 403
            assert "through the workshop's own address" in answer.json()["error"]


async def test_a_request_that_the_door_leads_to_the_wrong_container_is_refused(workshop: Workshop) -> None:
    async with httpx.AsyncClient(base_url=workshop.web_uis["bob"].url, timeout=60) as client:
        headers = {"X-Door-Secret": DOOR_SECRET, "X-Auth-Name": "alice", "X-Auth-Role": "participant"}
        answer = await client.get("/api/settings", headers=headers)
        assert answer.status_code == 421
        assert (await client.get("/api/settings", headers=headers | {"X-Auth-Name": "bob"})).status_code == 200


async def test_requests_that_two_servers_could_read_differently_are_refused(workshop: Workshop, alice: Person) -> None:
    start = f"POST /alice/api/queue HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {alice.cookie}\r\nConnection: close\r\n"
    smuggled = "0\r\n\r\nGET /bob/api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for rest in (
        "Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + smuggled,
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled,
        "Transfer-Encoding: chunked, identity\r\n\r\n" + smuggled,
        "Content-Length: +5\r\n\r\n" + smuggled,
        "Content-Length : 5\r\n\r\n" + smuggled,
    ):
        status, text = await send_bytes(workshop, (start + rest).encode())
        assert status in (400, 501), rest
        assert text.count("HTTP/1.1") == 1, rest
    for line in ("GET http://169.254.169.254/ HTTP/1.1", "CONNECT 127.0.0.1:6379 HTTP/1.1", "GET * HTTP/1.1"):
        status, text = await send_bytes(workshop, f"{line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert status in (0, 200, 400, 404, 405), line
        assert "ami-id" not in text
        assert "-ERR" not in text


async def test_no_redirect_repeats_a_forged_host(workshop: Workshop, caller: Caller) -> None:
    forged = {"Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example"}
    form = {"name": "alice", "password": password_of("alice")}
    answers = [
        await caller.ask("GET", "/alice", forged),
        await caller.ask("POST", "/sign-in", forged, data=form),
        await caller.ask("POST", "/sign-out", forged, data={"workspace": "alice"}),
    ]
    plain = f"http://127.0.0.1:{workshop.configuration.http_port}/alice/"
    async with httpx.AsyncClient() as client:
        redirect = await client.get(plain, headers={"Host": "elsewhere.example"})
    assert [answer.status for answer in answers] == [301, 303, 303]
    assert redirect.status_code == 301
    assert all("elsewhere" not in answer.headers for answer in answers)
    assert "elsewhere" not in redirect.headers["location"]


async def test_a_slow_upload_holds_up_nobody(workshop: Workshop, caller: Caller, alice: Person) -> None:
    lines = [await open_line(workshop) for _ in range(20)]
    head = (
        f"POST /alice/upload/image HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {alice.cookie}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="image"; filename="slow.png"\r\n\r\nx'
    )
    try:
        for _, writer in lines:
            writer.write(head.encode())
            await writer.drain()
        bob = await sign_in(caller, workshop, "bob")
        assert (await bob.own(caller, "GET", "/")).status == 200
        assert (await alice.own(caller, "GET", "/api/queue")).status == 200
    finally:
        for _, writer in lines:
            writer.close()


async def test_a_flood_of_sockets_is_bounded_and_the_others_get_theirs(
    workshop: Workshop, caller: Caller, alice: Person
) -> None:
    base = caller.url.replace("http", "ws", 1)
    async with AsyncExitStack() as stack:
        for _ in range(100):
            try:
                opening = caller.session.ws_connect(f"{base}/alice/ws", headers={"Cookie": alice.cookie})
                await stack.enter_async_context(opening)
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 429
        bob = await sign_in(caller, workshop, "bob")
        async with caller.session.ws_connect(f"{base}/bob/ws", headers={"Cookie": bob.cookie}) as socket:
            assert (await socket.receive_json())["type"] == "status"

    async def answers_again() -> bool:
        return (await alice.own(caller, "GET", "/api/queue")).status == 200

    await wait_until(answers_again, "the flooded web UI to answer")


async def test_a_message_that_is_too_long_ends_only_its_own_socket(caller: Caller, alice: Person) -> None:
    address = f"{caller.url.replace('http', 'ws', 1)}/alice/ws"
    headers = {"Cookie": alice.cookie}
    async with caller.session.ws_connect(address, headers=headers) as first:
        async with caller.session.ws_connect(address, headers=headers) as second:
            for message in ("{", "[1]", '{"type": "feature_flags", "data": 1}', "[" * 50_000):
                await second.send_str(message)
            await second.send_str("x" * 2**20)
            async with asyncio.timeout(90):
                while not second.closed:
                    await second.receive()
        await first.send_json({"type": "feature_flags", "data": {}})
        heard: list[Any] = [await first.receive_json(), await first.receive_json()]
    assert [message["type"] for message in heard] == ["status", "feature_flags"]


async def test_a_cookie_from_before_a_new_password_opens_nothing(workshop: Workshop, caller: Caller) -> None:
    carol = await sign_in(caller, workshop, "carol")
    assert (await carol.own(caller, "GET", "/api/settings")).status == 200
    workshop.accounts.change_password("carol", password_of("carol"))
    assert (await carol.own(caller, "GET", "/api/settings")).status == 401


async def test_guessing_passwords_across_names_locks_the_guesser_out(workshop: Workshop, caller: Caller) -> None:
    bob = await sign_in(caller, workshop, "bob")
    for name in ("alice", "carol", "nobody", "<script>", "a\0b", "'; drop table", "x" * 60):
        answer = await caller.ask("POST", "/sign-in", data={"name": name, "password": "a\0guess"})
        assert answer.status == 401, name
        assert "<script>" not in answer.text
        assert_tells_nothing(workshop, answer.text)
    guesses = [await caller.ask("POST", "/sign-in", data={"name": "mallory", "password": f"{n}"}) for n in range(6)]
    assert [guess.status for guess in guesses] == [401] * 5 + [429]
    assert (await bob.own(caller, "GET", "/api/settings")).status == 200


async def test_a_form_without_its_fields_does_not_repeat_the_password(caller: Caller) -> None:
    answer = await caller.ask("POST", "/sign-in", data={"password": "typed by mistake" * 30})
    assert answer.status == 422
    assert "typed by mistake" not in answer.text
    assert "name, password: missing or not usable" in sentence_of(answer)


async def test_afterwards_everybody_works_on_and_no_log_holds_a_secret(workshop: Workshop, caller: Caller) -> None:
    for name in ("bob", "alice"):
        person = await sign_in(caller, workshop, name)
        job = await submit(caller, person, picture_graph(0x123456))

        async def status(person: Person = person, job: str = job) -> bool:
            told = (await person.own(caller, "GET", f"/api/jobs/{job}")).json()["status"]
            assert told in ("pending", "in_progress", "completed"), told
            return bool(told == "completed")

        await wait_until(status, f"{name}'s run to end")
    logs = workshop.logs()
    for secret in (DOOR_SECRET, token_of("alice"), token_of("bob"), password_of("alice"), "comfyume_session="):
        assert secret not in logs
