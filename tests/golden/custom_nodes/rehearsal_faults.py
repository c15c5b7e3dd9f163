"""Two nodes for a real ComfyUI that behave like the rehearsal engine's nodes of the same names.

Copied into a ComfyUI's `custom_nodes` folder before recording: they make progress, previews, texts, waiting and failure
happen at will, without a model. Everything else in the recordings is ComfyUI's own.
"""

import time
from typing import Any, ClassVar

import comfy.model_management  # type: ignore[import-not-found]
import comfy.utils  # type: ignore[import-not-found]
import torch
from PIL import Image
from server import PromptServer  # type: ignore[import-not-found]


class RehearsalSlow:
    """Works for `seconds` in `steps` steps and passes its image on."""

    RETURN_TYPES: ClassVar = ("IMAGE",)
    FUNCTION = "work"
    CATEGORY = "rehearsal/faults"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {
            "required": {
                "seconds": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 3600.0, "step": 0.01}),
                "steps": ("INT", {"default": 10, "min": 1, "max": 10000}),
            },
            "optional": {
                "image": ("IMAGE",),
                "preview": ("BOOLEAN", {"default": False}),
                "text": ("STRING", {"default": ""}),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def work(
        self, seconds: float, steps: int, unique_id: str, image: Any = None, preview: bool = False, text: str = ""
    ) -> tuple[Any]:
        if text:
            PromptServer.instance.send_progress_text(text, unique_id, PromptServer.instance.client_id)
        bar = comfy.utils.ProgressBar(steps, node_id=unique_id)
        picture = ("JPEG", Image.new("RGB", (64, 64), (40, 80, 120)), None) if preview else None
        for step in range(1, steps + 1):
            end = time.monotonic() + seconds / steps
            while time.monotonic() < end:
                comfy.model_management.throw_exception_if_processing_interrupted()
                time.sleep(min(0.01, seconds / steps))
            bar.update_absolute(step, steps, picture)
        return (torch.zeros(1, 64, 64, 3) if image is None else image,)


class RehearsalError:
    """Fails at once with the given message."""

    RETURN_TYPES: ClassVar = ("IMAGE",)
    FUNCTION = "fail"
    CATEGORY = "rehearsal/faults"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {
            "required": {"message": ("STRING", {"default": "failed on purpose"})},
            "optional": {"image": ("IMAGE",)},
        }

    def fail(self, message: str, image: Any = None) -> tuple[Any]:
        raise RuntimeError(message)


NODE_CLASS_MAPPINGS = {"RehearsalSlow": RehearsalSlow, "RehearsalError": RehearsalError}
