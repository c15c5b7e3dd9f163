"""nginx with the product's configuration: who gets through, and what arrives behind it unchanged."""

import base64
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.auth.accounts import Accounts
from services.domain.front_door import FrontDoor, WorkspaceAddress
from services.domain.names import Role
from services.frontend.page_files import ensure_page_files
from tests.support.front_door import FrontDoorProcess, SignInProcess, make_certificate, upstream
from tests.support.ports import free_port
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow

NAMES = ("anna", "bob")
SECRET = "only-the-door-knows"
PAGE = Path(str(files("comfyui_frontend_package"))) / "static"
SCRIPT = next((PAGE / "assets").glob("index-*.js")).relative_to(PAGE).as_posix()
STYLE = "materialdesignicons.min.css"
FONT = "fonts/inter-latin-normal.woff2"


@dataclass
class Room:
    """The door, what is behind it, and everybody's password."""

    door: FrontDoor
    process: FrontDoorProcess
    sign_in: SignInProcess
    accounts: Accounts
    passwords: dict[str, str]

    def client(self, name: str | None = None) -> httpx.Client:
        """A browser; with a name, one that knows that person's password."""
        auth = (name, self.passwords[name]) if name else None
        return httpx.Client(base_url=self.process.url, verify=self.process.trust, auth=auth, timeout=60)

    def session(self, name: str) -> str:
        """The cookie that signing in with the password gives."""
        with self.client(name) as browser:
            return browser.get(f"/{name}/").headers["set-cookie"].split(";")[0]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("door")
    certificate, key = make_certificate(folder)
    ensure_page_files(folder / "page")
    passwords = {name: f"{name}'s own password" for name in (*NAMES, "teacher")}
    with ExitStack() as stack:
        queue = stack.enter_context(upstream())
        sign_in = SignInProcess(folder, queue)
        accounts = Accounts(folder / "accounts")
        for name in NAMES:
            accounts.add(name, Role.PARTICIPANT, passwords[name])
        accounts.add("teacher", Role.INSTRUCTOR, passwords["teacher"])
        stack.enter_context(sign_in)
        door = FrontDoor(
            http_port=free_port(), https_port=free_port(), listen="127.0.0.1", certificate=certificate,
            certificate_key=key, run_dir=folder, auth=sign_in.address, queue_manager=queue,
            page_dir=folder / "page", user="root" if os.geteuid() == 0 else None,
            workspaces=[WorkspaceAddress(name=name, address=stack.enter_context(upstream())) for name in NAMES],
            door_secret=SecretStr(SECRET),
        )  # fmt: skip
        process = stack.enter_context(FrontDoorProcess(door, folder))
        yield Room(door, process, sign_in, accounts, passwords)


@pytest.mark.parametrize(
    "path",
    [
        "/anna/api/userdata/workflows%2Fportrait%20two.json?overwrite=false&full_info=true",
        "/anna/api/userdata/workflows%252Fa.json",
        "/anna/view?filename=a%2Bb.png&subfolder=x%2Fy",
        "/anna/api/settings/Comfy.Queue%3A1",
    ],
)
def test_a_path_arrives_as_the_browser_wrote_it(room: Room, path: str) -> None:
    with room.client("anna") as browser:
        assert browser.get(path).json()["path"] == path.removeprefix("/anna")


def test_a_workspace_is_told_who_came_and_that_it_was_through_the_door(room: Room) -> None:
    with room.client("anna") as browser:
        forged = {"X-Auth-Name": "bob", "X-Door-Secret": "guess", "X-Forwarded-For": "1.2.3.4", "Comfy-User": "bob"}
        seen = browser.get("/anna/x", headers=forged).json()["headers"]
    assert (seen["X-Auth-Name"], seen["X-Auth-Role"], seen["X-Door-Secret"]) == ("anna", "participant", SECRET)
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert "Authorization" not in seen
    assert "Cookie" not in seen


def test_without_a_session_everything_of_a_workspace_asks_for_the_password(room: Room) -> None:
    with room.client() as stranger:
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = stranger.request(method, "/anna/api/prompt")
            assert answer.status_code == 401, method
            assert answer.headers["www-authenticate"].startswith('Basic realm="anna"')
            assert "set-cookie" not in answer.headers


def test_the_session_cookie_alone_opens_the_own_workspace_and_no_other(room: Room) -> None:
    cookie = room.session("anna")
    with room.client() as browser:
        assert browser.get("/anna/", headers={"Cookie": cookie}).status_code == 200
        assert browser.get("/bob/", headers={"Cookie": cookie}).status_code == 401


def test_the_right_password_of_one_on_anothers_address_is_refused(room: Room) -> None:
    with room.client("anna") as browser:
        answer = browser.get("/bob/")
    assert answer.status_code == 403
    assert "This address belongs to somebody else" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/%61nna/", "/anna%2F", "/bob/..%2Fanna/x", "//anna/", "/./anna/../bob/"])
def test_an_encoded_way_around_reaches_nobody_without_a_session(room: Room, path: str) -> None:
    with room.client() as stranger:
        answer = stranger.send(httpx.Request("GET", httpx.URL(room.process.url + path)))
    assert answer.status_code in (400, 401, 404), answer.text


def test_a_socket_opens_with_the_cookie_and_not_without(room: Room) -> None:
    key = base64.b64encode(b"0123456789abcdef").decode()
    handshake = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
    }  # fmt: skip
    with room.client() as browser:
        assert browser.get("/anna/ws", headers=handshake).status_code == 401
        arrived = browser.get("/anna/ws", headers=handshake | {"Cookie": room.session("anna")}).json()["headers"]
    assert (arrived["Upgrade"], arrived["Connection"]) == ("websocket", "upgrade")


@pytest.mark.parametrize("kilobytes", [1, 12, 40, 200, 1000])
def test_a_body_of_any_size_passes_without_touching_the_disk(room: Room, kilobytes: int) -> None:
    """With nginx's default a body of 12 to 200 KB goes through a file and waits 44 ms."""
    with room.client("anna") as browser:
        seen = browser.post("/anna/api/prompt", content=b"x" * kilobytes * 1024).json()
        queue = browser.post("/api/jobs", content=b"x" * kilobytes * 1024).json()
    assert seen["body_bytes"] == queue["body_bytes"] == kilobytes * 1024
    assert "buffered to a temporary file" not in room.process.log.read_text()


def test_the_queue_gets_its_own_credential_and_no_cookie(room: Room) -> None:
    with room.client() as script:
        headers = {"Authorization": "Bearer cme_x", "Cookie": "comfyume_session=x"}
        seen = script.get("/api/jobs?state=queued", headers=headers).json()
    assert (seen["path"], seen["headers"]["Authorization"]) == ("/api/jobs?state=queued", "Bearer cme_x")
    assert "Cookie" not in seen["headers"]


@pytest.mark.parametrize("path", ["/", "/anna/", "/bob/", "/api/x", "/nowhere", "/health"])
def test_every_answer_has_the_security_headers(room: Room, path: str) -> None:
    with room.client("anna") as browser:
        answer = browser.get(path)
    if path != "/nowhere":
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "nginx/" not in answer.headers["server"]


@pytest.mark.parametrize(("path", "encoding"), [(SCRIPT, "gzip"), (STYLE, "gzip"), (FONT, None)])
def test_the_pages_files_come_from_the_door_itself_and_compressed(room: Room, path: str, encoding: str | None) -> None:
    with room.client("anna") as browser:
        answer = browser.get(f"/anna/{path}", headers={"Accept-Encoding": "gzip, br"})
        plain = browser.get(f"/anna/{path}", headers={"Accept-Encoding": "identity"})
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, encoding)
    assert (plain.status_code, plain.headers.get("content-encoding")) == (200, None)
    assert answer.content == plain.content == (PAGE / path).read_bytes()
    assert answer.headers["content-type"] == plain.headers["content-type"] != "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_file_whose_name_has_a_digest_is_never_asked_for_again_and_others_are_not_sent_again(room: Room) -> None:
    with room.client("anna") as browser:
        assert browser.get(f"/anna/{SCRIPT}").headers["cache-control"] == "public, max-age=31536000, immutable"
        for path in (STYLE, FONT):
            answer = browser.get(f"/anna/{path}")
            assert answer.headers["cache-control"] == "no-cache"
            again = browser.get(f"/anna/{path}", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", [SCRIPT, STYLE, "assets/../../accounts", "assets/..%2f..%2fsession-keys"])
def test_without_a_session_the_door_sends_no_file(room: Room, path: str) -> None:
    with room.client() as stranger:
        answer = stranger.send(httpx.Request("GET", httpx.URL(f"{room.process.url}/anna/{path}")))
    assert answer.status_code in (400, 401, 404), answer.text


@pytest.mark.parametrize("path", ["assets/nothing.js", "assets/", "assets/..%2fmade-from"])
def test_the_door_sends_no_other_file_than_the_pages(room: Room, path: str) -> None:
    with room.client("anna") as browser:
        answer = browser.send(browser.build_request("GET", httpx.URL(f"{room.process.url}/anna/{path}")))
    assert b"comfyui_frontend_package" not in answer.content
    assert answer.status_code in (200, 404)
    assert answer.status_code == 404 or answer.json()["path"] == f"/{path}"  # what the door does not have is asked for


def test_the_public_health_page_says_what_answers_and_nothing_else(room: Room) -> None:
    with room.client() as stranger:
        answer = stranger.get("/health", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {"sign_in": "ok", "queue": "ok"})


def test_port_80_leads_to_https(room: Room) -> None:
    answer = httpx.get(f"http://127.0.0.1:{room.door.http_port}/anna/x?y=1")
    assert (answer.status_code, answer.headers["location"]) == (
        301,
        f"https://127.0.0.1:{room.door.https_port}/anna/x?y=1",
    )


def test_a_new_password_ends_that_persons_session_and_nobody_elses(room: Room) -> None:
    anna, bob = room.session("anna"), room.session("bob")
    room.passwords["anna"] = "a new password"
    room.accounts.change_password("anna", room.passwords["anna"])
    with room.client() as browser:
        assert browser.get("/anna/", headers={"Cookie": anna}).status_code == 401
        assert browser.get("/bob/", headers={"Cookie": bob}).status_code == 200


def test_one_more_workspace_is_one_reload_and_old_sessions_go_on(room: Room) -> None:
    cookie = room.session("bob")
    room.passwords["carl"] = "carl's password"
    room.accounts.add("carl", Role.PARTICIPANT, room.passwords["carl"])
    with upstream() as address, room.client() as browser, room.client("carl") as carl:
        more = WorkspaceAddress(name="carl", address=address)
        room.process.configure(room.door.model_copy(update={"workspaces": [*room.door.workspaces, more]}))
        room.process.reload()
        # Each question on a connection of its own: the old nginx process closes the kept ones when it likes.
        one_time = {"Connection": "close"}
        wait_for(lambda: carl.get("/carl/", headers=one_time).status_code == 200, "the new workspace")
        assert browser.get("/bob/", headers={"Cookie": cookie}).status_code == 200


def test_after_five_wrong_passwords_the_sixth_is_told_to_wait(room: Room) -> None:
    with room.client() as guesser:
        for _ in range(5):
            assert guesser.get("/bob/", auth=("bob", "guess")).status_code == 401
        answer = guesser.get("/bob/", auth=("bob", "guess"))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert f"Try again in {answer.headers['retry-after']} seconds" in answer.text


def test_no_password_is_in_any_log(room: Room) -> None:
    logs = room.process.log.read_text() + room.sign_in.log.read_text()
    assert "GET" in logs
    for password in room.passwords.values():
        assert password not in logs
        assert base64.b64encode(password.encode()).decode() not in logs
