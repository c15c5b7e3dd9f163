"""What each node does. Importing this package fills the registry.

Pictures are float32 arrays [batch, height, width, channels] with values 0..1, masks [batch, height, width].
"""

from services.worker.rehearsal.nodes import (
    audio,
    conditioning,
    faults,
    image_colour,
    image_effects,
    image_files,
    image_transform,
    latent,
    mask,
    model_loaders,
    primitives,
    sampling,
    video,
)

__all__ = [
    "audio",
    "conditioning",
    "faults",
    "image_colour",
    "image_effects",
    "image_files",
    "image_transform",
    "latent",
    "mask",
    "model_loaders",
    "primitives",
    "sampling",
    "video",
]
