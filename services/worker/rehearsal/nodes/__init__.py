"""What each node does. Importing this package fills the registry.

Pictures are float32 arrays [batch, height, width, channels] with values 0..1, masks [batch, height, width].
"""

from services.worker.rehearsal.nodes import faults, image_files, image_transform

__all__ = ["faults", "image_files", "image_transform"]
