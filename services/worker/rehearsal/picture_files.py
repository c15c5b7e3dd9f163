"""Reads picture, video and sound files into arrays.

Pictures go through FFmpeg, and through Pillow where that fails, as ComfyUI's LoadImage does it. The two differ: a JPEG
decoded by FFmpeg is up to 3 levels away from the same file decoded by Pillow.
"""

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from services.worker.rehearsal.pixels import Pixels, as_picture
from services.worker.rehearsal.values import Audio, Video

BYTE_FORMATS = ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8")
"""FFmpeg pixel formats that are read as bytes and divided by 255; all others are converted to float planes."""

ALIGNMENT = 32
"""FFmpeg's conversion to float planes is only reliable for widths that are multiples of this."""


def read_picture(path: Path) -> tuple[Pixels, Pixels]:
    """All frames of a file and their masks (1 = transparent; 64 x 64 zeros when there is no alpha).

    Raises OSError (also as UnidentifiedImageError) when the file is no picture.
    """
    try:
        frames = _with_ffmpeg(path)
    except av.error.FFmpegError:
        frames = []
    if not frames:
        return _with_pillow(path)
    pixels = np.stack(frames)
    if pixels.shape[-1] == 4:
        return np.ascontiguousarray(pixels[..., :3]), np.float32(1.0) - pixels[..., 3]
    return pixels, np.zeros((len(pixels), 64, 64), np.float32)


def read_video(path: Path) -> Video:
    """A video's frames (without alpha), its rate, and its sound if it has one."""
    frames = _with_ffmpeg(path)
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
    return Video(np.stack(frames)[..., :3], Fraction(rate or 1), read_sound(path))


def read_sound(path: Path) -> Audio | None:
    """The first sound of a file as floats; None when it has none."""
    parts: list[Any] = []
    resampler = av.AudioResampler(format="fltp")
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        rate = int(container.streams.audio[0].rate)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
    waveform = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    return {"waveform": waveform.astype(np.float32)[None], "sample_rate": rate}


def _with_ffmpeg(path: Path) -> list[Pixels]:
    """Every frame of the first video stream, with three or four channels; none when there is no such stream."""
    frames: list[Pixels] = []
    with av.open(str(path)) as container:
        if not container.streams.video:
            return []
        for frame in container.decode(container.streams.video[0]):
            pixels = _pixels(frame)
            if frame.rotation:
                pixels = np.rot90(pixels, round(frame.rotation // 90)).copy()
            if not frames or pixels.shape == frames[0].shape:
                frames.append(pixels)
    return frames


def _pixels(frame: av.VideoFrame) -> Pixels:
    name = frame.format.name
    alpha = name == "pal8" or any(component.is_alpha for component in frame.format.components)
    if name in BYTE_FORMATS:
        levels: Any = frame.to_ndarray(format="rgba" if alpha else "rgb24")
        return as_picture(levels)
    wanted = "gbrapf32le" if alpha else "gbrpf32le"
    rows, columns = frame.height, frame.width
    if columns % ALIGNMENT:
        frame = _aligned(frame)
    pixels: Any = frame.to_ndarray(format=wanted)
    return np.ascontiguousarray(pixels[:rows, :columns])


def _aligned(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame on a larger canvas, its last row and column repeated."""
    columns, rows = (-(-side // ALIGNMENT) * ALIGNMENT for side in (frame.width, frame.height))
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    border = f"left=0:right={columns - frame.width}:top=0:bottom={rows - frame.height}:mode=smear"
    chain = [
        source,
        graph.add("pad", f"{columns}:{rows}:0:0"),
        graph.add("fillborders", border),
        graph.add("buffersink"),
    ]
    for here, there in itertools.pairwise(chain):
        here.link_to(there)
    graph.configure()
    source.push(frame)
    result = chain[-1].pull()
    assert isinstance(result, av.VideoFrame)
    return result


def _with_pillow(path: Path) -> tuple[Pixels, Pixels]:
    pictures: list[Pixels] = []
    masks: list[Pixels] = []
    with Image.open(path) as file:
        for page in ImageSequence.Iterator(file):
            frame = ImageOps.exif_transpose(page)
            colours = as_picture(np.asarray(frame.convert("RGB")))
            if pictures and colours.shape != pictures[0].shape:
                continue
            pictures.append(colours)
            if "A" in frame.getbands():
                masks.append(np.float32(1.0) - as_picture(np.asarray(frame.getchannel("A"))))
            else:
                masks.append(np.zeros((64, 64), np.float32))
    return np.stack(pictures), np.stack(masks)
