"""`python -m services.worker.rehearsal.make_catalogue object_info.json`: renew data/catalogue.json.

The file given is what a real ComfyUI answers to /object_info, without any model installed. Only the nodes that this
engine stands for are taken, and of them only facts: names, types, limits and defaults. Texts meant for people
(descriptions, tooltips, search words) belong to ComfyUI's authors and stay there.
"""

import json
import sys
from pathlib import Path
from typing import Any

from services.worker.rehearsal import fault_names, nodes  # noqa: F401 - fills the registry
from services.worker.rehearsal.catalogue import DATA
from services.worker.rehearsal.nodes.registry import BEHAVIOURS

MODEL_LISTS = {
    ("CheckpointLoaderSimple", "ckpt_name"): "checkpoints",
    ("LTXAVTextEncoderLoader", "ckpt_name"): "checkpoints",
    ("LTXVAudioVAELoader", "ckpt_name"): "checkpoints",
    ("UNETLoader", "unet_name"): "diffusion_models",
    ("CLIPLoader", "clip_name"): "text_encoders",
    ("DualCLIPLoader", "clip_name1"): "text_encoders",
    ("DualCLIPLoader", "clip_name2"): "text_encoders",
    ("LTXAVTextEncoderLoader", "text_encoder"): "text_encoders",
    ("LatentUpscaleModelLoader", "model_name"): "latent_upscale_models",
    ("LoraLoader", "lora_name"): "loras",
    ("LoraLoaderModelOnly", "lora_name"): "loras",
    ("VAELoader", "vae_name"): "vae",
}
"""Inputs whose choices are the model files of a kind."""

FILE_LISTS = {
    ("LoadImage", "image"): ["image"],
    ("LoadImageMask", "image"): ["image"],
    ("LoadVideo", "file"): ["video"],
    ("LoadAudio", "audio"): ["audio", "video"],
}
"""Inputs whose choices are files in the input folder, with the kinds of content they take."""

TEXT_KEYS = ("tooltip", "search_aliases", "output_tooltips", "price_badge")


def main(source: Path) -> None:
    """Read the answer of a real ComfyUI and write the catalogue, one node a line."""
    object_info = json.loads(source.read_text(encoding="utf-8"))
    wanted = [name for name in object_info if name in BEHAVIOURS and name not in fault_names.NAMES]
    lines = [f"{json.dumps(name)}: {json.dumps(facts(name, object_info[name]))}" for name in wanted]
    (DATA / "catalogue.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def facts(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """What the catalogue keeps of an entry: no texts, and marks in place of the lists of files."""
    kept: dict[str, Any] = _without_texts(entry)
    kept["description"] = ""
    kept["search_aliases"] = []
    for inputs in kept["input"].values():
        for key, config in inputs.items():
            if (name, key) in MODEL_LISTS:
                more = [] if config[0] == "COMBO" else config[0]
                _set_choices(config, {"$models": MODEL_LISTS[name, key], "more": more})
            if (name, key) in FILE_LISTS:
                _set_choices(config, {"$files": "input", "types": FILE_LISTS[name, key]})
    return kept


def _set_choices(config: list[Any], choices: dict[str, Any]) -> None:
    if config[0] == "COMBO":
        config[1]["options"] = choices
    else:
        config[0] = choices


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_texts(inner) for key, inner in value.items() if key not in TEXT_KEYS}
    if isinstance(value, list):
        return [_without_texts(inner) for inner in value]
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
