"""Workflows that the instructor publishes: who may, what is taken, and that every web UI offers them."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.web_ui.conftest import Room

pytestmark = pytest.mark.slow

CANVAS = {"nodes": [], "links": [], "version": 0.4}
LESSON = "/api/workflows/Lesson 1 (easy)"


@pytest.fixture(autouse=True)
def _nothing_stays_published(room: Room) -> Iterator[None]:
    yield
    with room.queue.client("ines") as ines:
        ines.delete(LESSON)


def test_a_published_workflow_is_offered_in_every_web_ui_until_it_is_taken_back(room: Room) -> None:
    with room.queue.client("ines") as ines, room.alice.client() as alice, room.bob.client() as bob:
        assert alice.get("/api/workflow_templates").json() == {}
        assert ines.put(LESSON, json=CANVAS).status_code == 204
        for browser in (alice, bob):
            assert browser.get("/api/workflow_templates").json() == {"workshop": ["Lesson 1 (easy)"]}
            offered = browser.get("/api/workflow_templates/workshop/Lesson%201%20(easy).json")
            assert (offered.json(), offered.headers["Content-Type"]) == (CANVAS, "application/json")
            card = browser.get("/api/workflow_templates/workshop/Lesson%201%20(easy).jpg")
            assert (card.status_code, card.headers["Content-Type"]) == (200, "image/svg+xml")
        assert ines.put(LESSON, json={**CANVAS, "version": 1}).status_code == 204
        assert alice.get("/api/workflow_templates/workshop/Lesson%201%20(easy).json").json()["version"] == 1
        listed = ines.get("/api/workflows").json()["workflows"]
        assert [(one["name"], one["size"]) for one in listed] == [
            ("Lesson 1 (easy)", len(json.dumps({**CANVAS, "version": 1}, separators=(",", ":"))))
        ]
        assert ines.delete(LESSON).status_code == 204
        assert alice.get("/api/workflow_templates").json() == {}
        assert alice.get("/api/workflow_templates/workshop/Lesson%201%20(easy).json").status_code == 404
        assert ines.delete(LESSON).status_code == 404


@pytest.mark.parametrize("name", ["..%2Fx", ".hidden", "%2e%2e", "a%2Fb", "a%00", " x", "x" * 81, "a<b>"])
def test_a_name_that_is_none_is_refused(room: Room, name: str) -> None:
    with room.queue.client("ines") as ines:
        assert ines.put(f"/api/workflows/{name}", json=CANVAS).status_code in (404, 405, 422)
        assert ines.get("/api/workflows").json() == {"workflows": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "valid JSON"),
        (b"[]", "no saved workflow"),
        (b'{"1": {"class_type": "SaveImage", "inputs": {}}}', "API format"),
        (b'{"nodes": {}}', "no saved workflow"),
    ],
)
def test_what_the_page_could_not_open_is_refused_in_a_sentence(room: Room, body: bytes, words: str) -> None:
    with room.queue.client("ines") as ines:
        answer = ines.put(LESSON, content=body)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_a_participant_publishes_nothing(room: Room) -> None:
    with room.queue.client("alice") as alice, room.queue.client("otto") as otto:
        assert alice.put(LESSON, json=CANVAS).status_code == 403
        assert otto.put(LESSON, json=CANVAS).status_code == 204
        assert alice.delete(LESSON).status_code == 403
        assert otto.delete(LESSON).status_code == 204


def test_the_template_list_says_so_while_the_queue_is_away(room: Room) -> None:
    room.queue.stop()
    try:
        with room.alice.client() as alice:
            answer: httpx.Response = alice.get("/api/workflow_templates")
            assert answer.status_code == 503
            assert "try again" in answer.json()["error"]
            assert alice.get("/api/extensions").status_code == 200
    finally:
        room.queue.start()
