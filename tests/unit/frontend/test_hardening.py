"""What a web UI refuses by itself: pages of other sites, floods of tabs, ids that are addresses, rare pictures."""

from io import BytesIO
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from PIL import Image

from services.domain.errors import InvalidInput
from services.frontend.app import comes_from_another_site
from services.frontend.browser_sockets import MAX_CLOSING, MAX_SOCKETS, BrowserSocket, BrowserSockets
from services.frontend.own_files import can_be_sent
from services.frontend.pictures import preview
from services.frontend.queue_client import is_job_id


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Origin": "https://workshop.example"}, False),
        ({"Origin": "https://workshop.example:443"}, False),
        ({"Origin": "https://WORKSHOP.example"}, False),
        ({"Origin": "https://workshop.example:8443"}, True),
        ({"Origin": "https://elsewhere.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, False),
    ],
)
def test_a_page_of_another_site_is_recognised(headers: dict[str, str], foreign: bool) -> None:
    request = make_mocked_request("POST", "/api/queue", headers={"Host": "workshop.example", **headers})
    assert comes_from_another_site(request) is foreign


class StuckSocket:
    """A socket whose other side never answers the closing."""

    closed = False
    closings = 0

    async def close(self, **_: Any) -> bool:
        """Count the asking."""
        self.closings += 1
        return True


async def test_every_surplus_tab_is_asked_to_close_once_and_a_flood_is_refused() -> None:
    sockets, stuck = BrowserSockets(), [StuckSocket() for _ in range(MAX_SOCKETS + MAX_CLOSING)]
    for number, socket in enumerate(stuck):
        assert not sockets.are_too_many()
        sockets.add(BrowserSocket(cast(Any, socket), f"tab-{number}"))
    assert sockets.are_too_many()
    closings = [tab._closing for tab in sockets]
    assert [closing is not None for closing in closings] == [True] * MAX_CLOSING + [False] * MAX_SOCKETS
    for closing in closings[:MAX_CLOSING]:
        assert closing is not None
        await closing
    assert [socket.closings for socket in stuck] == [1] * MAX_CLOSING + [0] * MAX_SOCKETS


def test_only_a_jobs_id_becomes_part_of_an_address() -> None:
    assert is_job_id("0f0f6c43-78b0-4570-994d-1b5566353660")
    for text in ("../events", "", "0F0F6C43-78B0-4570-994D-1B5566353660", "x?state=queued", None, 7):
        assert not is_job_id(text)


def test_a_name_that_no_file_can_have_is_recognised() -> None:
    assert can_be_sent("Ünïcode name.png")
    assert not can_be_sent("a\0b")
    assert not can_be_sent("\ud800")


def test_a_picture_that_does_not_fit_into_the_preview_is_refused_in_words() -> None:
    buffer = BytesIO()
    Image.new("L", (20_000, 2)).save(buffer, "PNG")
    with pytest.raises(InvalidInput, match="does not fit"):
        preview(buffer.getvalue(), "webp;90", "")
