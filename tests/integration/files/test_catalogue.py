"""The workers' catalogues and what follows from them: what is offered, refused, and who runs it."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.queue_process import QueueProcess
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_for
from tests.support.workbench import GRAPH, OBJECT_INFO, Person, Workbench

pytestmark = pytest.mark.slow

CHECKPOINT = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}


def _with(**nodes: dict[str, Any]) -> dict[str, Any]:
    """The usual graph with other nodes; `n1` becomes node "1"."""
    return {**GRAPH, **{name.removeprefix("n"): node for name, node in nodes.items()}}


def _using(checkpoint: str) -> dict[str, Any]:
    """A graph whose output needs a checkpoint, by way of a node that only exists for this."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "Paint", "inputs": {"model": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
    }


def _object_info(*checkpoints: str) -> dict[str, Any]:
    """The usual nodes with these checkpoints, and the node that needs one."""
    info = copy.deepcopy(OBJECT_INFO)
    info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"] = [list(checkpoints)]
    info["Paint"] = {"input": {"required": {"model": ["MODEL"]}}, "output": ["IMAGE"], "output_node": False}
    return info


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A queue manager that has never heard of any worker."""
    with (
        RedisServer(tmp_path_factory.mktemp("fresh-redis")) as redis,
        QueueProcess(tmp_path_factory.mktemp("fresh"), redis.url) as queue,
        Workbench(queue, redis) as bench,
    ):
        yield bench


def test_the_catalogue_is_the_workers_without_the_names_of_files_in_its_input_folder(
    anna: Person, workbench: Workbench
) -> None:
    catalogue = anna.http.get("/api/catalogue").json()
    assert catalogue["EmptyImage"] == OBJECT_INFO["EmptyImage"]
    assert catalogue["LoadImage"]["input"]["required"]["image"] == [[], {"image_upload": True}]
    assert anna.http.get("/api/catalogue/models").json()["checkpoints"] == ["sd15.safetensors"]


def test_an_unchanged_catalogue_is_not_sent_again(anna: Person, workbench: Workbench) -> None:
    etag = anna.http.get("/api/catalogue").headers["etag"]
    again = anna.http.get("/api/catalogue", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_unknown_class_is_refused_as_comfyui_refuses_it(anna: Person) -> None:
    graph = _with(n1={"class_type": "NoSuchNode", "inputs": {}, "_meta": {"title": "My node"}})
    answer = anna.http.post("/api/jobs", json={"workflow": graph})
    assert (answer.status_code, answer.json()["error"]) == (400, "workflow_rejected")
    assert answer.json()["comfy"] == {
        "type": "missing_node_type",
        "message": "Node 'My node' not found. The custom node may not be installed.",
        "details": "Node ID '#1'",
        "extra_info": {"node_id": "1", "class_type": "NoSuchNode", "node_title": "My node"},
    }


def test_a_model_that_no_worker_has_is_refused_in_the_nodes_errors(anna: Person) -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.safetensors"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    answer = anna.http.post("/api/jobs", json={"workflow": graph}).json()
    assert answer["comfy"]["type"] == "prompt_outputs_failed_validation"
    assert "return_type_mismatch" in str(answer["node_errors"]["2"])
    loader = {**CHECKPOINT, "inputs": {"ckpt_name": "none.safetensors"}}
    unused = anna.http.post("/api/jobs", json={"workflow": _with(n9=loader)})
    assert unused.status_code == 202, "ComfyUI does not look at nodes that no output needs"


def test_a_file_that_was_not_uploaded_is_refused_and_one_of_the_output_folder_too(anna: Person) -> None:
    for name in ("missing.png", "a.png [output]", "a.png [temp]"):
        graph = _with(n2={"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}})
        graph["3"] = {"class_type": "LoadImage", "inputs": {"image": name}}
        answer = anna.http.post("/api/jobs", json={"workflow": graph})
        assert answer.status_code == 400
        (complaint,) = answer.json()["node_errors"]["3"]["errors"]
        assert complaint == {
            "type": "custom_validation_failed",
            "message": "Custom validation failed for node",
            "details": f"image - Invalid image file: {name}",
            "extra_info": {"input_name": "image"},
        }
        assert name in answer.json()["detail"]


def test_a_graph_without_outputs_is_refused(anna: Person) -> None:
    answer = anna.http.post("/api/jobs", json={"workflow": {"1": GRAPH["1"]}})
    assert answer.json()["comfy"]["type"] == "prompt_no_outputs"
    partial = anna.http.post("/api/jobs", json={"workflow": GRAPH, "partial_execution_targets": ["1"]})
    assert partial.json()["comfy"]["type"] == "prompt_no_outputs"


def test_a_worker_speaks_for_itself_and_sends_what_it_registered(workbench: Workbench) -> None:
    worker = workbench.worker("gpu-1")
    assert worker.put("/api/workers/gpu-2/catalogue", content=b"{}").status_code == 403
    profile = {"comfyui_version": "0.33.0", "rehearsal": True, "catalogue_sha256": "0" * 64}
    assert worker.put("/api/workers/gpu-1", json=profile).json()["catalogue_needed"] is True
    for body in (b"{}", b"no json", b"[]"):
        answer = worker.put("/api/workers/gpu-1/catalogue", content=body)
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    workbench.register()


def test_jobs_go_to_the_worker_that_has_their_model_and_wait_for_it_when_it_is_away(fresh: Workbench) -> None:
    person = Person(fresh.queue, "alice")
    fresh.register("gpu-1", _object_info("one.safetensors"), {"checkpoints": ["one.safetensors"]})
    fresh.register("gpu-2", _object_info("two.safetensors"), {"checkpoints": ["two.safetensors"]})
    assert person.http.get("/api/catalogue/models").json() == {"checkpoints": ["one.safetensors", "two.safetensors"]}
    offered = person.http.get("/api/catalogue").json()["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"]
    assert sorted(offered[0]) == ["one.safetensors", "two.safetensors"]
    first, second = person.submit(_using("two.safetensors")), person.submit(_using("one.safetensors"))
    assert fresh.lease("gpu-1").lease["job_id"] == second
    assert fresh.lease("gpu-2").lease["job_id"] == first
    both = _using("one.safetensors")
    both["4"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "two.safetensors"}}
    both["5"] = {"class_type": "Paint", "inputs": {"model": ["4", 0]}}
    both["6"] = {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "y"}}
    answer = person.http.post("/api/jobs", json={"workflow": both})
    assert answer.status_code == 400
    assert "no single worker" in answer.json()["detail"]
    assert fresh.worker("gpu-2").delete("/api/workers/gpu-2").is_success
    fresh.queue.kill()
    fresh.queue.start()
    assert sorted(person.http.get("/api/catalogue/models").json()["checkpoints"]) == [
        "one.safetensors",
        "two.safetensors",
    ], "the catalogue is kept when a worker has left"
    waiting = person.submit(_using("two.safetensors"))
    assert person.job(waiting)["state"] == "queued"


def test_a_job_submitted_before_any_worker_came_finds_the_one_that_can_run_it(fresh: Workbench) -> None:
    person = Person(fresh.queue, "alice")
    assert person.http.get("/api/catalogue").json() == {}
    needs_two, needs_one = person.submit(_using("two.safetensors")), person.submit(_using("one.safetensors"))
    fresh.register("gpu-1", _object_info("one.safetensors"), {"checkpoints": ["one.safetensors"]})
    fresh.register("gpu-2", _object_info("two.safetensors"), {"checkpoints": ["two.safetensors"]})
    with fresh.redis.client() as redis:
        wait_for(lambda: redis.hget(f"job:{needs_two}", "pool") not in (None, "any"), "the first job's pool")
        wait_for(lambda: redis.hget(f"job:{needs_one}", "pool") not in (None, "any"), "the second job's pool")
    assert fresh.lease("gpu-1").lease["job_id"] == needs_one
    assert fresh.lease("gpu-2").lease["job_id"] == needs_two


def test_a_waiting_job_moves_to_a_worker_that_gets_its_model_later(fresh: Workbench) -> None:
    person = Person(fresh.queue, "alice")
    fresh.register("gpu-1", _object_info("one.safetensors"), {"checkpoints": ["one.safetensors"]})
    waiting = person.submit(_using("one.safetensors"))
    fresh.register("gpu-1", _object_info("one.safetensors", "new.safetensors"), {"checkpoints": ["one.safetensors"]})
    assert fresh.lease("gpu-1", job_id=waiting).lease["job_id"] == waiting
