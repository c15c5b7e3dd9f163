"""Prompts that ComfyUI refuses, each with what it answers. The bodies are data, asked of our own validation, too."""

from typing import Any

from tests.golden.driver import Session
from tests.golden.scenarios.catalogue import SCENARIOS, Scenario, node

PICTURE = node("EmptyImage", width=4, height=4, batch_size=1, color=1)
SAVED = node("SaveImage", images=["1", 0], filename_prefix="refused")


def graph(**nodes: dict[str, Any]) -> dict[str, Any]:
    """A whole body: `n1` becomes node "1"; a picture and a saving node are there unless given."""
    named = {name.removeprefix("n"): value for name, value in nodes.items()}
    return {"prompt": {"1": PICTURE, "2": SAVED} | named}


def picture(**changed: Any) -> dict[str, Any]:
    """EmptyImage with other inputs; None takes an input away."""
    inputs = {name: value for name, value in (PICTURE["inputs"] | changed).items() if value is not None}
    return node("EmptyImage", **inputs)


def scaled(**changed: Any) -> dict[str, Any]:
    """ImageScale behind the picture with other inputs; None takes an input away."""
    inputs = {"image": ["1", 0], "upscale_method": "area", "width": 4, "height": 4, "crop": "disabled"} | changed
    return node("ImageScale", **{name: value for name, value in inputs.items() if value is not None})


BODIES: dict[str, dict[str, Any]] = {
    "unknown_class": graph(n1=node("NoSuchNode") | {"_meta": {"title": "My node"}}),
    "unknown_class_untitled": graph(n1=node("NoSuchNode")),
    "unknown_class_unused": graph(n9=node("NoSuchNode", x=1)),
    "class_missing": graph(n1={"inputs": {}}),
    "class_missing_titled": graph(n1={"inputs": {}, "_meta": {"title": "My node"}}),
    "value_not_in_list": graph(
        n1=PICTURE, n3=scaled(upscale_method="sharp"), n2=node("SaveImage", images=["3", 0], filename_prefix="x")
    ),
    "value_not_in_short_list": graph(n3=scaled(crop="left", width=-1), n2=node("PreviewImage", images=["3", 0])),
    "model_not_in_list": graph(
        n1=node("CheckpointLoaderSimple", ckpt_name="none.safetensors"),
        n3=node("VAEDecode", samples=["4", 0], vae=["1", 2]),
        n4=node("EmptyLatentImage", width=64, height=64, batch_size=1),
        n2=node("SaveImage", images=["3", 0], filename_prefix="x"),
    ),
    "value_not_in_long_list": graph(
        n1=node("LoadImage", image="missing.png"),
        n3=node("ImageBlend", image1=["1", 0], image2=["1", 0], blend_factor=2, blend_mode="glow"),
        n4=node("KSamplerSelect", sampler_name="dice"),
        n5=node("SamplerCustom", sampler=["4", 0]),
        n2=node("SaveImage", images=["3", 0], filename_prefix="x"),
    ),
    "sampler_not_in_list": graph(
        n1=node("KSamplerSelect", sampler_name="dice"),
        n3=node(
            "SamplerCustomAdvanced",
            noise=["4", 0],
            guider=["4", 0],
            sampler=["1", 0],
            sigmas=["4", 0],
            latent_image=["4", 0],
        ),
        n4=node("RandomNoise", noise_seed=-1),
        n5=node("VAEDecode", samples=["3", 0]),
        n2=node("SaveImage", images=["5", 0], filename_prefix="x"),
    ),
    "required_missing": graph(n1=picture(width=None)),
    "all_required_missing": graph(n2=node("SaveImage")),
    "link_of_three": graph(n2=node("SaveImage", images=["1", 0, 0], filename_prefix="x")),
    "empty_list": graph(n2=node("SaveImage", images=[], filename_prefix="x")),
    "link_to_nowhere": graph(n2=node("SaveImage", images=["77", 0], filename_prefix="x")),
    "link_slot_out_of_range": graph(n2=node("SaveImage", images=["1", 5], filename_prefix="x")),
    "inner_link_to_nowhere": graph(
        n3=scaled(image=["77", 0]), n2=node("SaveImage", images=["3", 0], filename_prefix="x")
    ),
    "type_mismatch": graph(n1=node("SolidMask", value=1.0, width=4, height=4)),
    "type_mismatch_number": graph(
        n3=scaled(width=["1", 0]), n2=node("SaveImage", images=["3", 0], filename_prefix="x")
    ),
    "too_small": graph(n1=picture(width=0)),
    "too_big": graph(n1=picture(height=99999)),
    "too_small_float": graph(
        n3=node("SolidMask", value=-0.5, width=4, height=4), n1=node("MaskToImage", mask=["3", 0])
    ),
    "no_number": graph(n1=picture(width="wide")),
    "null_number": graph(n1={"class_type": "EmptyImage", "inputs": PICTURE["inputs"] | {"width": None}}),
    "dict_for_number": graph(n1=picture(width={"a": 1})),
    "several_errors": graph(n1=picture(width=0, height="x", color=None)),
    "two_outputs_one_cause": graph(n1=picture(width=0), n3=node("PreviewImage", images=["1", 0])),
    "no_outputs": {"prompt": {"1": PICTURE}},
    "empty_graph": {"prompt": {}},
    "no_prompt": {"client_id": "x"},
    "empty_body": {},
    "cycle": graph(n1=scaled(image=["3", 0]), n3=scaled(image=["1", 0])),
    "cycle_of_one": graph(n1=scaled(image=["1", 0])),
    "no_such_image": graph(n1=node("LoadImage", image="missing.png")),
    "image_outside": graph(n1=node("LoadImage", image="../../secret.png")),
    "image_outside_annotated": graph(n1=node("LoadImage", image="../secret.png [output]")),
    "image_absolute": graph(n1=node("LoadImage", image="/etc/hostname")),
    "image_number": graph(n1=node("LoadImage", image=5)),
    "mask_channel": graph(
        n1=node("LoadImageMask", image="missing.png", channel="yellow"), n2=node("MaskPreview", mask=["1", 0])
    ),
    "id_upper_case": graph() | {"prompt_id": "0B6B0D8E-0000-4000-8000-00000000000A"},
    "id_no_uuid": graph() | {"prompt_id": "mine"},
    "id_number": graph() | {"prompt_id": 7},
    "id_without_hyphens": graph() | {"prompt_id": "0b6b0d8e00004000800000000000000a"},
    "partial_target_unknown": graph() | {"partial_execution_targets": ["9"]},
    "partial_target_no_output": graph() | {"partial_execution_targets": ["1"]},
    "partial_targets_empty": graph() | {"partial_execution_targets": []},
    "inputs_missing": graph(n1={"class_type": "EmptyImage"}),
    "inputs_list": graph(n1={"class_type": "EmptyImage", "inputs": []}),
    "node_is_text": {"prompt": {"1": "EmptyImage"}},
    "prompt_is_list": {"prompt": [PICTURE]},
    "prompt_is_null": {"prompt": None},
    "links_to_numbers": graph(n2=node("SaveImage", images=[1, 0], filename_prefix="x")),
}
"""Name -> the body of POST /prompt."""

TAKEN: dict[str, dict[str, Any]] = {
    "image_empty_name": graph(n1=node("LoadImage", image="")),
    "value_for_a_link": graph(n2=node("SaveImage", images="picture", filename_prefix="x")),
    "link_to_second_slot": graph(
        n1=node("SolidMask", value=1.0, width=2, height=2),
        n3=node("MaskToImage", mask=["1", 0]),
        n2=node("PreviewImage", images=["3", 0]),
    ),
    "unused_branch_invalid": graph(n7=picture(width=0)),
}
"""Bodies that look wrong and are taken all the same; some of them fail when they run."""


def class_types() -> list[str]:
    """The node classes that the bodies name, and those of the worker's session."""
    graphs = [body.get("prompt") for body in [*BODIES.values(), *TAKEN.values()]]
    nodes = [value for graph in graphs if isinstance(graph, dict) for value in graph.values()]
    named = {str(value["class_type"]) for value in nodes if isinstance(value, dict) and "class_type" in value}
    return sorted(named | {"ImageInvert", "RehearsalError", "RehearsalSlow"})


def _refusal(name: str) -> Scenario:
    async def play(session: Session) -> None:
        await session.post("/prompt", BODIES[name])

    return play


def _taken(name: str) -> Scenario:
    async def play(session: Session) -> None:
        viewer = await session.viewer()
        await session.post("/prompt", TAKEN[name] | {"prompt_id": session.job(), "client_id": session.client_id})
        await viewer.drop_until_over(session.job())

    return play


SCENARIOS.update({f"taken_{name}": _taken(name) for name in TAKEN})
SCENARIOS.update({f"refused_{name}": _refusal(name) for name in BODIES})
