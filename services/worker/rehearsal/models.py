"""Which model files the engine pretends to have: those the templates name, and those in a folder of your own."""

import json
import os
from functools import cache
from pathlib import Path

MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".pkl", ".gguf", ".onnx")


@cache
def _template_models() -> dict[str, list[str]]:
    models: dict[str, list[str]] = json.loads(
        (Path(__file__).parent / "data" / "models.json").read_text(encoding="utf-8")
    )
    return models


class ModelFiles:
    """Names of model files by kind, where a kind is a folder such as "checkpoints"."""

    def __init__(self, models_dir: Path | None) -> None:
        self._models_dir = models_dir

    def folders(self) -> list[str]:
        """All kinds, those of the templates first."""
        known = list(_template_models())
        if self._models_dir and self._models_dir.is_dir():
            known += sorted(p.name for p in self._models_dir.iterdir() if p.is_dir() and p.name not in known)
        return known

    def names(self, folder: str) -> list[str]:
        """The file names of one kind, with subfolders as in "style/a.safetensors"; empty for an unknown kind."""
        names = set(_template_models().get(folder, []))
        own = self._models_dir / folder if self._models_dir else None
        if own and own.is_dir():
            for here, _, files in os.walk(own, followlinks=True):
                place = Path(here).relative_to(own)
                names.update((place / name).as_posix() for name in files if name.lower().endswith(MODEL_SUFFIXES))
        return sorted(names)
