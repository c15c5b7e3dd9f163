"""ComfyUI's messages on their way to the participant."""

import json
import struct
from typing import Any

import pytest

from services.worker.comfyui.messages import MessageFilter, NameMap, error_from, without_paths

JOB = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
NAMES = NameMap(f"comfyume/{JOB}", {"comfyume/abab/photo.png": "photo.png"})


def filter_of(executing: bool = True) -> MessageFilter:
    chosen = MessageFilter(JOB, {"1", "2"}, NAMES)
    chosen.executing = executing
    return chosen


def preview(prompt_id: str) -> bytes:
    metadata = json.dumps({"prompt_id": prompt_id, "node_id": "1"}).encode()
    return struct.pack(">II", 4, len(metadata)) + metadata + b"jpeg"


@pytest.mark.parametrize("kind", ["status", "feature_flags", "logs"])
def test_messages_about_the_server_are_not_relayed(kind: str) -> None:
    assert filter_of().message(kind, {"prompt_id": JOB}) is None


def test_messages_of_another_prompt_are_not_relayed() -> None:
    assert filter_of().message("executed", {"prompt_id": OTHER, "node": "1", "output": {}}) is None


@pytest.mark.parametrize(
    ("executing", "data", "relayed"),
    [
        (True, {"node_id": "1", "text": "x"}, True),
        (True, {"node": "2:5"}, True),
        (True, {"node": "77"}, False),
        (True, {"cpu": 50}, False),
        (False, {"node_id": "1"}, False),
    ],
)
def test_messages_without_prompt_id_need_a_node_of_the_running_graph(
    executing: bool, data: dict[str, Any], relayed: bool
) -> None:
    assert (filter_of(executing).message("custom", data) is not None) is relayed


def test_file_names_come_back_as_the_participant_knows_them() -> None:
    output = {"images": [{"filename": "a_00001_.png", "subfolder": f"comfyume/{JOB}/video", "type": "output"}]}
    message = filter_of().message("executed", {"prompt_id": JOB, "node": "1", "output": output})
    assert message is not None
    assert message["data"]["output"]["images"][0]["subfolder"] == "video"


def test_an_error_loses_server_paths_and_tokens_and_keeps_its_sense() -> None:
    message = filter_of().message(
        "execution_error",
        {
            "prompt_id": JOB,
            "exception_message": "no such file: '/srv/my models/unet/flux.safetensors'",
            "traceback": ['  File "/opt/ComfyUI/execution.py", line 510, in execute\n'],
            "current_inputs": {"image": ["comfyume/abab/photo.png"], "steps": ["x" * 100_000]},
            "extra_data": {"auth_token_comfy_org": "secret-1"},
            "nested": {"api_key_comfy_org": "secret-2", "kept": 1},
        },
    )
    text = json.dumps(message)
    for secret in ("/srv", "/opt", "secret-1", "secret-2", "comfyume"):
        assert secret not in text
    for kept in ("flux.safetensors", "execution.py", "line 510", "photo.png"):
        assert kept in text
    assert len(text) < 10_000


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("/root/ComfyUI/nodes.py failed", "nodes.py failed"),
        (r"C:\Users\me\ComfyUI\nodes.py failed", "nodes.py failed"),
        ("see https://example.org/a/b/c for help", "see https://example.org/a/b/c for help"),
        ("expected 1/2/3 and 16/9 and/or more", "expected 1/2/3 and 16/9 and/or more"),
        ("Value not in list: 'sub/dir/x.safetensors'", "Value not in list: 'sub/dir/x.safetensors'"),
        ("(/data/models/x.ckpt)", "(x.ckpt)"),
        ("path=/data/models/x.ckpt", "path=x.ckpt"),
    ],
)
def test_only_absolute_paths_are_cut(text: str, cleaned: str) -> None:
    assert without_paths(text) == cleaned


def test_previews_of_the_job_pass_and_others_do_not() -> None:
    assert filter_of().frame(preview(JOB)) == ("preview 1", preview(JOB))
    assert filter_of().frame(preview(OTHER)) is None


def test_frames_without_prompt_id_pass_only_while_the_job_runs() -> None:
    old = struct.pack(">II", 1, 1) + b"jpeg"
    text = struct.pack(">II", 3, 1) + b"1half way"
    assert filter_of(executing=True).frame(old) == ("preview", old)
    assert filter_of(executing=True).frame(text) == ("text 1", text)
    assert filter_of(executing=False).frame(old) is None
    assert filter_of(executing=False).frame(text) is None


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\4", struct.pack(">II", 4, 99) + b"x", struct.pack(">II", 9, 0)])
def test_broken_frames_are_dropped(frame: bytes) -> None:
    assert filter_of().frame(frame) is None


def test_the_jobs_error_names_the_node_and_holds_no_path() -> None:
    error = error_from(
        {
            "exception_type": "ValueError",
            "exception_message": "bad /opt/ComfyUI/models/x.ckpt for comfyume/abab/photo.png\n",
            "node_id": 5,
            "node_type": "LoadImage",
        },
        NAMES,
    )
    assert error.model_dump() == {
        "type": "ValueError",
        "message": "bad x.ckpt for photo.png",
        "node_id": "5",
        "node_type": "LoadImage",
    }
