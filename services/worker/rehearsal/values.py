"""What flows between the nodes in place of models, conditionings and latents: only what a placeholder needs to know."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from services.worker.rehearsal.pixels import Pixels


@dataclass(frozen=True)
class Model:
    """A model, text encoder or VAE: its file name, and the LoRAs on top."""

    name: str
    loras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conditioning:
    """A prompt's text; empty when it was zeroed out."""

    text: str


@dataclass(frozen=True)
class Noise:
    """A seed; None adds no noise."""

    seed: int | None


@dataclass(frozen=True)
class Guider:
    """A model together with what it is to draw."""

    model: Model
    positive: Conditioning


@dataclass(frozen=True)
class Latent:
    """A picture or video yet to be drawn; sizes in pixels and frames. `source` is what it starts from, if anything."""

    width: int
    height: int
    frames: int = 1
    batch: int = 1
    source: Pixels | None = None
    model: str = ""
    text: str = ""
    seed: int | None = None
    audio: "AudioLatent | None" = None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return 0 if self.source is None else self.source.nbytes


@dataclass(frozen=True)
class AudioLatent:
    """A sound yet to be made."""

    seconds: float
    seed: int = 0


class Audio(TypedDict):
    """A sound in ComfyUI's own form; the waveform is float32 [batch, channels, samples]."""

    waveform: npt.NDArray[np.float32]
    sample_rate: int


@dataclass(frozen=True)
class Video:
    """Frames, their rate and a sound."""

    frames: Pixels
    rate: Fraction
    audio: Audio | None = None
    bit_depth: int = 8

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return memory_of(self.frames)


def memory_of(array: npt.NDArray[np.generic]) -> int:
    """Bytes an array really holds: frames may be windows on one wide picture."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return high - low
