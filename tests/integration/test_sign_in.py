"""The sign-in service over HTTP: what nginx's question is answered with, and what the form does."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pytest import FixtureRequest

from services.auth.accounts import Account, Accounts
from services.auth.app import create_app
from services.auth.sessions import COOKIE, create_keys_file, rotate_keys
from services.auth.settings import AuthSettings
from services.domain.names import Role

PASSWORD = "correct horse battery"


@pytest.fixture
def settings(tmp_path: Path) -> AuthSettings:
    settings = AuthSettings(accounts_dir=tmp_path / "accounts", session_keys_file=tmp_path / "keys")
    create_keys_file(settings.session_keys_file)
    accounts = Accounts(settings.accounts_dir)
    accounts.add("anna", Role.PARTICIPANT, PASSWORD)
    accounts.add("bob", Role.PARTICIPANT, "bob's own password")
    accounts.add("teacher", Role.INSTRUCTOR, "teacher's password")
    return settings


@pytest.fixture
async def door(settings: AuthSettings) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(settings))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://door", headers={"X-Real-IP": "10.0.0.1"}
    ) as client:
        yield client


async def ask(
    door: httpx.AsyncClient, workspace: str, auth: tuple[str, str] | None = None, cookie: str = ""
) -> httpx.Response:
    headers = {"X-Workspace": workspace} | ({"Cookie": f"{COOKIE}={cookie}"} if cookie else {})
    return await door.get("/verify", headers=headers, auth=auth)


def session_of(response: httpx.Response) -> str:
    value = response.headers["set-cookie"].split(";")[0].partition("=")[2]
    assert value
    return str(value)


async def signed_in(door: httpx.AsyncClient, name: str = "anna", password: str = PASSWORD) -> str:
    return session_of(await ask(door, name, (name, password)))


async def test_a_password_opens_the_own_workspace_and_gives_a_bound_cookie(door: httpx.AsyncClient) -> None:
    answer = await ask(door, "anna", ("anna", PASSWORD))
    assert (answer.status_code, answer.headers["x-auth-name"], answer.headers["x-auth-role"]) == (
        204,
        "anna",
        "participant",
    )
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"path=/anna/", "secure", "httponly", "samesite=lax"} <= attributes


async def test_the_cookie_alone_opens_it_again_without_a_new_cookie(door: httpx.AsyncClient) -> None:
    answer = await ask(door, "anna", cookie=await signed_in(door))
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("workspace", "auth"),
    [
        ("anna", None),
        ("anna", ("anna", "wrong")),
        ("anna", ("nobody", PASSWORD)),
        ("anna", ("ANNA", PASSWORD)),
        ("admin", None),
    ],
)
async def test_nothing_or_a_wrong_password_is_asked_to_sign_in(
    door: httpx.AsyncClient, workspace: str, auth: tuple[str, str] | None
) -> None:
    answer = await ask(door, workspace, auth)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_right_password_on_another_workspace_is_refused_without_a_cookie(door: httpx.AsyncClient) -> None:
    answer = await ask(door, "bob", ("anna", PASSWORD))
    assert (answer.status_code, answer.headers["x-auth-reason"]) == (403, "foreign")
    assert "set-cookie" not in answer.headers


async def test_a_cookie_carried_to_another_workspace_opens_nothing(door: httpx.AsyncClient) -> None:
    assert (await ask(door, "bob", cookie=await signed_in(door))).status_code == 401


async def test_the_console_is_open_to_the_instructor_only(door: httpx.AsyncClient) -> None:
    assert (await ask(door, "admin", ("teacher", "teacher's password"))).status_code == 204
    assert (await ask(door, "admin", ("anna", PASSWORD))).status_code == 403


async def test_the_sixth_wrong_password_is_locked_and_says_how_long(door: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert (await ask(door, "anna", ("anna", "wrong"))).status_code == 401
    answer = await ask(door, "anna", ("anna", PASSWORD))
    assert (answer.status_code, answer.headers["x-auth-reason"]) == (403, "locked")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    page = await door.get("/denied", headers={"X-Auth-Reason": "locked", "Retry-After": answer.headers["retry-after"]})
    assert page.status_code == 429
    assert f"Try again in {answer.headers['retry-after']} seconds" in page.text


async def test_somebody_elses_guessing_does_not_lock_out_the_owner(door: httpx.AsyncClient) -> None:
    for _ in range(6):
        await door.get("/verify", headers={"X-Workspace": "anna", "X-Real-IP": "10.6.6.6"}, auth=("anna", "guess"))
    assert (await ask(door, "anna", ("anna", PASSWORD))).status_code == 204


async def test_a_new_password_ends_that_persons_session_and_no_other(
    door: httpx.AsyncClient, settings: AuthSettings
) -> None:
    anna, bob = await signed_in(door), await signed_in(door, "bob", "bob's own password")
    Accounts(settings.accounts_dir).change_password("anna", "a new password")
    assert (await ask(door, "anna", cookie=anna)).status_code == 401
    assert (await ask(door, "anna", ("anna", PASSWORD))).status_code == 401, "the remembered check is forgotten as well"
    assert (await ask(door, "anna", ("anna", "a new password"))).status_code == 204
    assert (await ask(door, "bob", cookie=bob)).status_code == 204


async def test_removing_one_account_ends_its_session(door: httpx.AsyncClient, settings: AuthSettings) -> None:
    anna = await signed_in(door)
    Accounts(settings.accounts_dir).remove("anna")
    assert (await ask(door, "anna", cookie=anna)).status_code == 401


async def test_rotating_the_signing_keys_signs_nobody_out_until_the_key_is_gone(
    door: httpx.AsyncClient, settings: AuthSettings
) -> None:
    anna = await signed_in(door)
    rotate_keys(settings.session_keys_file)
    assert (await ask(door, "anna", cookie=anna)).status_code == 204
    rotate_keys(settings.session_keys_file)
    assert (await ask(door, "anna", cookie=anna)).status_code == 401


@pytest.mark.parametrize("cookie", ["x", "WyJhbm5hIl0.aaaa.bbbb", "../../etc/passwd", "a" * 4000])
async def test_a_forged_cookie_opens_nothing(door: httpx.AsyncClient, cookie: str) -> None:
    assert (await ask(door, "anna", cookie=cookie)).status_code == 401


@pytest.mark.parametrize("header", ["Basic", "Basic %%%", "Basic YW5uYQ==", "Bearer abc", "Basic /////w=="])
async def test_a_header_that_makes_no_sense_is_asked_to_sign_in(door: httpx.AsyncClient, header: str) -> None:
    answer = await door.get("/verify", headers={"X-Workspace": "anna", "Authorization": header})
    assert answer.status_code == 401


async def test_the_form_leads_to_the_own_workspace(door: httpx.AsyncClient) -> None:
    answer = await door.post("/sign-in", data={"name": "anna", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/anna/")
    assert (await ask(door, "anna", cookie=session_of(answer))).status_code == 204


async def test_the_form_leads_the_instructor_to_the_console(door: httpx.AsyncClient) -> None:
    answer = await door.post("/sign-in", data={"name": "teacher", "password": "teacher's password"})
    assert answer.headers["location"] == "/admin/"


async def test_a_wrong_password_in_the_form_says_so_and_shows_no_markup_of_the_name(door: httpx.AsyncClient) -> None:
    answer = await door.post("/sign-in", data={"name": "<b>anna", "password": "wrong"})
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert "<b>anna" not in answer.text


async def test_the_challenge_names_the_workspace_as_its_realm(door: httpx.AsyncClient) -> None:
    answer = await door.get("/challenge", headers={"X-Workspace": "anna"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="anna", charset="UTF-8"'


@pytest.mark.parametrize("half", ["", '{"name": "anna", "role": "par', "[]", '{"name": "bob"}'])
async def test_a_half_written_account_locks_nobody_out(
    door: httpx.AsyncClient, settings: AuthSettings, half: str
) -> None:
    anna, bob = await signed_in(door), await signed_in(door, "bob", "bob's own password")
    file = settings.accounts_dir / "anna.json"
    whole = file.read_text()
    file.write_text(half)
    assert (await ask(door, "anna", cookie=anna)).status_code == 204
    assert (await ask(door, "anna", ("anna", PASSWORD))).status_code == 204
    assert (await ask(door, "bob", cookie=bob)).status_code == 204
    file.write_text(whole.replace('"epoch": "', '"epoch": "another '))
    assert (await ask(door, "anna", cookie=anna)).status_code == 401, "the whole file counts at the next request"
    assert (await ask(door, "anna", ("anna", PASSWORD))).status_code == 204


async def test_an_account_that_was_never_readable_is_no_wrong_password(
    door: httpx.AsyncClient, settings: AuthSettings
) -> None:
    (settings.accounts_dir / "carl.json").write_text('{"name": "carl"')
    for _ in range(7):
        answer = await ask(door, "carl", ("carl", "carl's own password"))
        assert (answer.status_code, "carl" in answer.json()["detail"]) == (503, True)
    (settings.accounts_dir / "carl.json").unlink()
    Accounts(settings.accounts_dir).add("carl", Role.PARTICIPANT, "carl's own password")
    assert (await ask(door, "carl", ("carl", "carl's own password"))).status_code == 204


async def test_a_folder_that_is_gone_signs_nobody_out(door: httpx.AsyncClient, settings: AuthSettings) -> None:
    anna = await signed_in(door)
    away = settings.accounts_dir.rename(settings.accounts_dir.with_name("away"))
    assert (await ask(door, "anna", cookie=anna)).status_code == 503
    away.rename(settings.accounts_dir)
    assert (await ask(door, "anna", cookie=anna)).status_code == 204


async def test_a_file_rewritten_in_the_same_moment_counts(door: httpx.AsyncClient, settings: AuthSettings) -> None:
    anna = await signed_in(door)
    file = settings.accounts_dir / "anna.json"
    before = file.stat()
    epoch = Account.model_validate_json(file.read_text()).epoch
    file.write_text(file.read_text().replace(epoch, epoch[::-1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await ask(door, "anna", cookie=anna)).status_code == 401


def test_the_accounts_hold_no_password_and_are_their_owners_alone(settings: AuthSettings) -> None:
    files = list(settings.accounts_dir.iterdir())
    assert {file.name for file in files} == {"anna.json", "bob.json", "teacher.json"}
    for file in files:
        assert PASSWORD not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
    assert settings.session_keys_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (["add", "anna"], 1, "has an account already"),
        (["rekey", "nobody"], 4, "there is no account 'nobody'"),
        (["add", "../x"], 2, "is not usable"),
    ],
)
def test_the_command_line_refuses_in_one_sentence(
    settings: AuthSettings, request: FixtureRequest, arguments: list[str], exit_code: int, sentence: str
) -> None:
    environment = {
        "AUTH_ACCOUNTS_DIR": str(settings.accounts_dir),
        "AUTH_SESSION_KEYS_FILE": str(settings.session_keys_file),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.auth", *arguments],
        cwd=request.config.rootpath, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (exit_code, True, False)
