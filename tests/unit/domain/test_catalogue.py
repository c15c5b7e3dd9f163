"""The catalogue: which worker fits which graph, and what several workers offer together."""

from typing import Any

from services.domain.catalogue import FitIndex, Profile, merged, merged_models
from services.domain.node_inputs import graph_models, model_signature


def _loader(spelling: str, *options: str) -> dict[str, Any]:
    declared = [list(options)] if spelling == "list" else ["COMBO", {"options": list(options)}]
    return {"input": {"required": {"ckpt_name": declared}}, "output": ["MODEL"]}


SAVE = {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True}
LOAD = {"input": {"required": {"image": [["private.png"], {"image_upload": True}]}}, "output": ["IMAGE"]}


def test_a_bit_for_each_profile_says_who_offers_a_choice() -> None:
    index = FitIndex(
        [
            Profile("one", {"Loader": _loader("list", "a.safetensors", "b.safetensors"), "Save": SAVE}),
            Profile("two", {"Loader": _loader("combo", "b.safetensors")}),
        ]
    )
    choice = index.nodes["Loader"].choices["ckpt_name"]
    assert choice.offered_by == {"a.safetensors": 0b01, "b.safetensors": 0b11}
    assert choice.is_model
    assert index.nodes["Save"].offered_by == 0b01
    assert index.nodes["Save"].is_output
    assert index.profiles_of(0b11) == ["one", "two"]
    assert index.profiles_of(index.nodes["Save"].offered_by) == ["one"]


def test_a_file_input_is_no_choice() -> None:
    node = FitIndex([Profile("one", {"LoadImage": LOAD})]).nodes["LoadImage"]
    assert node.choices == {}
    assert node.files == {"image": "image"}


def test_merging_unites_choices_in_each_spelling_and_keeps_the_originals() -> None:
    for spelling in ("list", "combo"):
        first, second = _loader(spelling, "a", "b"), _loader(spelling, "b", "c")
        together = merged([Profile("one", {"Loader": first}), Profile("two", {"Loader": second, "Save": SAVE})])
        assert together == {"Loader": _loader(spelling, "a", "b", "c"), "Save": SAVE}
        assert first == _loader(spelling, "a", "b")


def test_merging_shows_no_file_of_a_workers_input_folder() -> None:
    other = {"input": {"required": {"image": [["secret.png"], {"image_upload": True}]}}, "output": ["IMAGE"]}
    latent = {"input": {"required": {"latent": [["x.latent"]]}}, "output": ["LATENT"]}
    profiles = [Profile("one", {"LoadImage": LOAD, "LoadLatent": latent}), Profile("two", {"LoadImage": other})]
    assert ".png" not in str(merged(profiles))
    assert ".latent" not in str(merged(profiles))


def test_models_of_all_workers_stand_in_one_sorted_list() -> None:
    profiles = [Profile("one", {}, {"vae": ["b"], "loras": []}), Profile("two", {}, {"vae": ["a", "b"]})]
    assert merged_models(profiles) == {"loras": [], "vae": ["a", "b"]}


def test_a_strange_catalogue_entry_is_skipped() -> None:
    strange: dict[str, Any] = {
        "A": {"input": None},
        "B": {"input": {"required": {"x": []}}},
        "C": {"input": {"required": ["x"]}},
        "D": "text",
    }
    assert set(FitIndex([Profile("one", strange)]).nodes) == {"A", "B", "C"}
    assert set(merged([Profile("one", strange)])) == {"A", "B", "C"}


def test_the_models_of_a_graph_make_the_same_word_in_any_order() -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "b.safetensors", "x": 1}},
        "2": {"class_type": "LoraLoader", "inputs": {"lora_name": "a.SAFETENSORS", "model": ["1", 0]}},
        "3": "not a node",
    }
    assert model_signature(graph_models(graph)) == "a.SAFETENSORS|b.safetensors"
    assert model_signature(["b", "a", "b"]) == model_signature(["a", "b"])
    assert model_signature([]) == ""
    assert len(model_signature([f"model-{number}.safetensors" for number in range(50)])) == 64
