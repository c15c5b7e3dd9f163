"""One input of a node class, read from ComfyUI's `/object_info`: its type, its choices, and whether it names a file.

Knows both spellings of a combo (`[[choices], {...}]` and `["COMBO", {"options": [...]}]`). Which nodes a worker has is
the catalogue's business; whether a graph's values are right is graph_validation's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

COMBO = "COMBO"

MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf", ".onnx")
"""File endings of model weights: ComfyUI 0.33.0's own list, and the two that widespread node packs add."""

_UPLOAD_WORDS = {
    "image_upload": "image",
    "audio_upload": "audio",
    "video_upload": "video",
    "file_upload": "3D model",
    "animated_image_upload": "image",
}
"""Flag in an input's options -> the word in ComfyUI's own refusal ("Invalid image file: ...")."""

_VIDEO_ENDINGS = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v")
_ENDINGS_OF_KIND = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"),
    "audio": (".mp3", ".wav", ".flac", ".ogg", ".opus", ".m4a", ".aac", *_VIDEO_ENDINGS),
    "video": _VIDEO_ENDINGS,
    "3D model": (".glb", ".gltf", ".obj", ".fbx", ".stl", ".usdz", ".ply", ".splat", ".spz", ".ksplat"),
    "latent": (".latent",),
}

_UNFLAGGED_FILES = {("LoadLatent", "latent"): "latent"}
"""Inputs of ComfyUI's core that name an input file without saying so in their options."""

UNCHECKED_CHOICES = frozenset(
    {
        ("CustomCombo", "choice"),
        ("ModelAttentionBackend", "attention"),
        ("SelectModelDevice", "device"),
        ("SelectCLIPDevice", "device"),
        ("SelectVAEDevice", "device"),
    }
)
"""Combos of the core whose class accepts values outside its own list (read from ComfyUI 0.33.0)."""


@dataclass(frozen=True, slots=True)
class NodeInput:
    """An input as the class declares it; `type` and `config` are ComfyUI's, untouched."""

    name: str
    type: Any
    config: Mapping[str, Any]
    required: bool
    file_word: str | None
    checked: bool

    @property
    def is_combo(self) -> bool:
        """Whether the value has to be one of `options`."""
        return isinstance(self.type, list) or self.type == COMBO

    @property
    def options(self) -> list[Any]:
        """The choices of a combo; empty for every other input."""
        if isinstance(self.type, list):
            return self.type
        options = self.config.get("options", []) if self.type == COMBO else []
        return options if isinstance(options, list) else []


def inputs_of(class_type: str, info: Mapping[str, Any]) -> Iterator[NodeInput]:
    """Yield the required and the optional inputs of one `/object_info` entry, in its order."""
    sections = info.get("input")
    if not isinstance(sections, Mapping):
        return
    for section in ("required", "optional"):
        declared = sections.get(section)
        if not isinstance(declared, Mapping):
            continue
        for name, spec in declared.items():
            if isinstance(spec, list | tuple) and spec:
                yield read_input(class_type, name, spec, required=section == "required")


def read_input(class_type: str, name: str, spec: list[Any] | tuple[Any, ...], *, required: bool) -> NodeInput:
    """Read one `[type, options]` pair."""
    config = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    word = _UNFLAGGED_FILES.get((class_type, name))
    if word is None:
        word = next((word for flag, word in _UPLOAD_WORDS.items() if config.get(flag)), None)
    checked = word is None and (class_type, name) not in UNCHECKED_CHOICES
    return NodeInput(name, spec[0], config, required, word, checked)


def is_model_file(value: object) -> bool:
    """Say whether a combo's value looks like the name of a file of weights."""
    return isinstance(value, str) and value.lower().endswith(MODEL_SUFFIXES)


def is_of_kind(name: str, file_word: str) -> bool:
    """Say whether a file's ending suits an input of that kind (`NodeInput.file_word`)."""
    endings = _ENDINGS_OF_KIND.get(file_word)
    return endings is None or name.lower().endswith(endings)


def model_signature(names: Iterable[str]) -> str:
    """Make the word under which "the same models are loaded" is compared; "" for a graph without models.

    Readable while it is short, a digest (64 hexadecimal digits) above 200 characters.
    """
    joined = "|".join(sorted(set(names)))
    return joined if len(joined) <= 200 else sha256(joined.encode()).hexdigest()


def graph_models(graph: Mapping[str, Any]) -> set[str]:
    """Collect the files of weights that a graph names, wherever they stand among the nodes' own values."""
    found: set[str] = set()
    for node in graph.values():
        inputs = node.get("inputs") if isinstance(node, Mapping) else None
        if isinstance(inputs, Mapping):
            found.update(value for value in inputs.values() if is_model_file(value))
    return found
