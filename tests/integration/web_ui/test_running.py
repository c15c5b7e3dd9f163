"""Running a workflow in the web UI: stock's messages in stock's order, results, cancels, reloads, second tabs."""

import struct

import pytest

from tests.integration.web_ui.conftest import Room
from tests.support.wait import wait_for
from tests.support.web_ui import Tab, picture_graph, slow_graph

pytestmark = pytest.mark.slow

ORDER = [
    "execution_start",
    "execution_cached",
    *("progress_state", "executing", "progress_state"),
    *("executing", "executed", "progress_state"),
    "execution_success",
]
"""ComfyUI 0.33.0's messages for two nodes, without `status` and the last `executing`.

States that follow each other directly are taken as one: the worker sends the newest of a burst only.
"""


def test_a_run_arrives_in_stocks_order_and_ends_with_no_node(room: Room) -> None:
    with Tab(room.alice) as tab:
        prompt_id = tab.run(picture_graph(0x112233))
        tab.until_ended(prompt_id)
    assert tab.kinds()[:2] == ["status", "feature_flags"]
    shown = [kind for kind in tab.kinds()[2:-1] if kind not in ("status", "workshop", "notification")]
    assert [kind for kind, before in zip(shown, ["", *shown], strict=False) if kind != before] == ORDER
    assert tab.messages[0]["data"]["sid"] == tab.client_id
    counters = [data["status"]["exec_info"]["queue_remaining"] for data in tab.of_kind("status")]
    assert (counters[0], max(counters), counters[-1]) == (0, 1, 0)


def test_the_result_is_in_the_canvas_the_history_the_gallery_and_the_file(room: Room) -> None:
    with Tab(room.alice) as tab, room.alice.client() as http:
        prompt_id = tab.run(picture_graph(0x445566))
        tab.until_ended(prompt_id)
        shown = tab.of_kind("executed")[0]["output"]["images"][0]
        history = http.get(f"/history/{prompt_id}").json()[prompt_id]
        assert history["outputs"]["2"]["images"] == [shown]
        assert history["prompt"][1:3] == [prompt_id, picture_graph(0x445566)]
        job = http.get(f"/api/jobs/{prompt_id}").json()
        assert (job["status"], job["preview_output"]["filename"]) == ("completed", shown["filename"])
        listed = http.get("/api/jobs?status=completed,failed,cancelled&limit=64&offset=0").json()
        assert listed["jobs"][0]["id"] == prompt_id
        picture = http.get("/api/view", params=shown)
        assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
        part = http.get("/api/view", params=shown, headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"\x89PNG")
        small = http.get("/api/view", params=shown | {"preview": "webp;50"})
        assert small.headers["content-type"] == "image/webp"


def test_the_same_graph_by_both_gives_everybody_their_own_files(room: Room) -> None:
    graph, results = picture_graph(0x778899), []
    for web_ui in (room.alice, room.alice, room.bob):
        with Tab(web_ui) as tab, web_ui.client() as http:
            prompt_id = tab.run(graph)
            tab.until_ended(prompt_id)
            image = tab.of_kind("executed")[0]["output"]["images"][0]
            results.append((web_ui.participant, image["subfolder"]))
            assert http.get("/api/view", params=image).status_code == 200
    assert len(set(results)) == 3


def test_a_waiting_job_is_counted_listed_and_can_be_cancelled(room: Room) -> None:
    with Tab(room.bob) as busy, Tab(room.alice) as tab, room.alice.client() as http:
        running = busy.run(slow_graph())
        busy.until(lambda: "progress" in busy.kinds())
        prompt_id = tab.run(picture_graph(0xABCDEF))
        assert http.get("/api/prompt").json()["exec_info"]["queue_remaining"] == 1
        assert [entry[1] for entry in http.get("/queue").json()["queue_pending"]] == [prompt_id]
        tab.until(lambda: any(data["id"] == prompt_id for data in tab.of_kind("notification")))
        assert http.post(f"/api/jobs/{prompt_id}/cancel").json() == {"cancelled": True}
        tab.until(lambda: tab.of_kind("status")[-1]["status"]["exec_info"]["queue_remaining"] == 0)
        assert http.get(f"/api/jobs/{prompt_id}").json()["status"] == "cancelled"
        with room.bob.client() as bob:
            bob.post("/interrupt", json={"prompt_id": running})
        busy.until_ended(running)
        assert "execution_interrupted" in busy.kinds()


def test_nobody_elses_status_messages_or_previews_arrive(room: Room) -> None:
    with Tab(room.alice) as watcher, Tab(room.bob) as tab:
        before = len(watcher.messages)
        prompt_id = tab.run(slow_graph(0.5))
        tab.until_ended(prompt_id)
        own = watcher.run(picture_graph(0x0F0F0F))
        watcher.until_ended(own)
        assert prompt_id not in str(watcher.messages)
        assert tab.frames
        assert watcher.frames == []
        counters = [data["status"]["exec_info"]["queue_remaining"] for data in watcher.of_kind("status")]
        assert max(counters) == 1
        assert len(watcher.messages) > before


def test_a_reload_in_the_middle_of_a_run_shows_the_current_node_again(room: Room) -> None:
    with Tab(room.alice) as tab:
        prompt_id = tab.run(slow_graph())
        tab.until(lambda: "progress" in tab.kinds())
    with Tab(room.alice, tab.client_id) as again, Tab(room.alice) as second, room.alice.client() as http:
        for view in (again, second):
            view.until(lambda view=view: "progress_state" in view.kinds() and "executing" in view.kinds())
            assert view.kinds().index("execution_start") < view.kinds().index("executing")
            assert view.of_kind("executing")[0]["node"] == "1"
        http.post("/interrupt")
        for view in (again, second):
            view.until_ended(prompt_id)
            assert view.of_kind("execution_interrupted")[0]["prompt_id"] == prompt_id


def test_a_tab_that_was_away_at_the_end_is_shown_the_end_once(room: Room) -> None:
    with Tab(room.alice) as tab:
        prompt_id = tab.run(slow_graph(1))
        tab.until(lambda: "executing" in tab.kinds())
    with room.alice.client() as http:
        wait_for(lambda: prompt_id in http.get(f"/history/{prompt_id}").json(), "the job to end")
        with Tab(room.alice, tab.client_id) as again, Tab(room.alice) as other:
            again.until_ended(prompt_id)
            assert [data["node"] for data in again.of_kind("executed")] == ["2"]
            assert "execution_success" in again.kinds()
            assert other.of_kind("executed") == []
        with Tab(room.alice, tab.client_id) as later:
            later.until_ended(later.run(picture_graph(0x778899)))
            assert len(later.of_kind("executed")) == 1


def test_a_restart_of_the_web_ui_in_the_middle_of_a_run_loses_nothing(room: Room) -> None:
    with Tab(room.alice) as tab:
        prompt_id = tab.run(slow_graph())
        tab.until(lambda: "progress" in tab.kinds())
    room.alice.kill()
    room.alice.start()
    with Tab(room.alice, tab.client_id) as again, room.alice.client() as http:
        again.until(lambda: "progress" in again.kinds() and "executing" in again.kinds())
        http.post("/interrupt", json={"prompt_id": prompt_id})
        again.until_ended(prompt_id)


def test_a_client_without_metadata_gets_the_older_previews(room: Room) -> None:
    with Tab(room.alice, preview_metadata=False) as old:
        old.until_ended(old.run(slow_graph(0.5)))
    kinds = {struct.unpack_from(">I", frame)[0] for frame in old.frames}
    assert kinds == {1}


def test_an_error_names_the_node_and_carries_no_path(room: Room) -> None:
    graph = {"1": {"class_type": "RehearsalError", "inputs": {"message": "boom"}}}
    with Tab(room.alice) as tab:
        prompt_id = tab.run(graph)
        tab.until_ended(prompt_id)
    error = tab.of_kind("execution_error")[0]
    assert (error["node_id"], error["node_type"]) == ("1", "RehearsalError")
    assert "boom" in error["exception_message"]
    assert "/" not in "".join(error["traceback"])


def test_a_job_that_waits_longest_runs_when_the_queue_manager_comes_back(room: Room) -> None:
    with Tab(room.alice) as tab, room.alice.client() as http:
        room.queue.kill()
        answer = http.post("/api/prompt", json={"prompt": picture_graph()})
        assert answer.status_code == 503
        assert "does not answer" in answer.json()["error"]
        room.queue.start()
        wait_for(lambda: http.get("/api/jobs").status_code == 200, "the web UI to reach the queue again")
        prompt_id = tab.run(picture_graph(0x010203))
        tab.until_ended(prompt_id)
    assert tab.of_kind("execution_success")[0]["prompt_id"] == prompt_id
