"""Uploads and downloads of the rehearsal engine."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.support.rehearsal_engine import engine


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with engine(tmp_path) as base, aiohttp.ClientSession(base) as session:
        yield session


def png(colour: str | tuple[int, ...] = "red", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (4, 3), colour).save(buffer, "PNG")
    return buffer.getvalue()


async def upload(
    http: aiohttp.ClientSession, name: str, content: bytes, path: str = "/upload/image", **fields: str
) -> tuple[int, Any]:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("image", content, filename=name)
    for key, value in fields.items():
        form.add_field(key, value)
    async with http.post(path, data=form) as answer:
        return answer.status, await answer.json() if answer.status == 200 else None


async def test_the_same_file_is_kept_once_and_another_gets_a_new_name(http: aiohttp.ClientSession) -> None:
    assert await upload(http, "a.png", png()) == (200, {"name": "a.png", "subfolder": "", "type": "input"})
    assert (await upload(http, "a.png", png()))[1]["name"] == "a.png"
    assert (await upload(http, "a.png", png("blue")))[1]["name"] == "a (1).png"
    assert (await upload(http, "a.png", png("green")))[1]["name"] == "a (2).png"
    assert (await upload(http, "a.png", png("white"), overwrite="true"))[1]["name"] == "a.png"
    async with http.get("/view", params={"filename": "a.png", "type": "input"}) as answer:
        assert await answer.read() == png("white")


async def test_an_upload_may_go_to_a_subfolder_but_not_outside(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    stored = await upload(http, "a.png", png(), subfolder="x/y", type="temp")
    assert stored == (200, {"name": "a.png", "subfolder": "x/y", "type": "temp"})
    assert (tmp_path / "temp" / "x" / "y" / "a.png").exists()
    assert (await upload(http, "a.png", png(), subfolder="../.."))[0] == 400
    assert (await upload(http, "../../a.png", png()))[0] == 400
    assert (await upload(http, "a.png", png(), type="elsewhere"))[0] == 400
    async with http.post("/upload/image", data={"image": "no file"}) as answer:
        assert answer.status == 400


async def test_a_mask_becomes_the_alpha_of_the_original(http: aiohttp.ClientSession) -> None:
    await upload(http, "a.png", png("red"))
    mask = png((0, 0, 0, 77), "RGBA")
    reference = json.dumps({"filename": "a.png", "type": "input", "subfolder": ""})
    status, stored = await upload(http, "masked.png", mask, "/upload/mask", original_ref=reference)
    assert (status, stored["name"]) == (200, "masked.png")
    async with http.get("/view", params={"filename": "masked.png", "type": "input"}) as answer:
        with Image.open(io.BytesIO(await answer.read())) as picture:
            assert picture.getpixel((0, 0)) == (255, 0, 0, 77)
    for wrong in ("{", "{}", "[]", json.dumps({"filename": "../a.png"})):
        assert (await upload(http, "m.png", mask, "/upload/mask", original_ref=wrong))[0] == 400
    gone = json.dumps({"filename": "gone.png"})
    assert (await upload(http, "m.png", mask, "/upload/mask", original_ref=gone))[0] == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": ""}, 400),
        ({"filename": "../a.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "a.png", "type": "elsewhere"}, 400),
        ({"filename": "a.png", "subfolder": "../.."}, 403),
        ({"filename": "a.png", "subfolder": "/"}, 403),
        ({"filename": "gone.png"}, 404),
        ({"filename": "a.png [input]"}, 200),
        ({"filename": "a.png", "type": "input"}, 200),
    ],
)
async def test_only_files_of_the_engine_are_shown(
    http: aiohttp.ClientSession, query: dict[str, str], status: int
) -> None:
    await upload(http, "a.png", png())
    async with http.get("/view", params=query) as answer:
        assert answer.status == status


async def test_a_part_of_a_file_can_be_asked_for(http: aiohttp.ClientSession) -> None:
    await upload(http, "a.png", png())
    place = {"filename": "a.png", "type": "input"}
    async with http.get("/view", params=place, headers={"Range": "bytes=1-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"PNG")
        assert answer.headers["Content-Disposition"] == 'filename="a.png"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "kind", "mode"),
    [
        ({"preview": "webp;50"}, "WEBP", "RGBA"),
        ({"preview": "jpeg"}, "JPEG", "RGB"),
        ({"preview": "gif;x"}, "WEBP", "RGBA"),
        ({"channel": "rgb"}, "PNG", "RGB"),
        ({"channel": "a"}, "PNG", "RGBA"),
    ],
)
async def test_a_picture_is_shown_in_other_forms(
    http: aiohttp.ClientSession, query: dict[str, str], kind: str, mode: str
) -> None:
    await upload(http, "a.png", png((10, 20, 30, 40), "RGBA"))
    async with http.get("/view", params={"filename": "a.png", "type": "input"} | query) as answer:
        with Image.open(io.BytesIO(await answer.read())) as picture:
            assert (picture.format, picture.mode, picture.size) == (kind, mode, (4, 3))
            if query == {"channel": "a"}:
                assert picture.getpixel((0, 0)) == (0, 0, 0, 40)


async def test_what_a_browser_would_run_is_offered_for_download(http: aiohttp.ClientSession) -> None:
    for name in ("page.html", "drawing.svg", "data.xml", "code.js"):
        await upload(http, name, b"<svg/>")
        async with http.get("/view", params={"filename": name, "type": "input"}) as answer:
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment; ")
    place = {"filename": "drawing.svg", "type": "input"}
    async with http.get("/view", params=place, headers={"Sec-Fetch-Dest": "image"}) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"


async def test_a_preview_of_what_is_no_picture_is_refused_with_a_sentence(http: aiohttp.ClientSession) -> None:
    await upload(http, "a.txt", b"text")
    async with http.get("/view", params={"filename": "a.txt", "type": "input", "preview": "webp"}) as answer:
        assert answer.status == 400
        assert "no picture" in await answer.text()
