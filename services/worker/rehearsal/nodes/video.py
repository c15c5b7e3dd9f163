"""Nodes for videos and animated pictures. The files are real: H.264 in MP4, VP9 or AV1 in WebM, WebP, PNG."""

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from services.worker.rehearsal.nodes.image_files import REHEARSAL_NOTE, file_exists, png_text
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node
from services.worker.rehearsal.picture_files import read_video
from services.worker.rehearsal.pixels import Pixels, to_bytes
from services.worker.rehearsal.values import Audio, Video

WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}
WEBM_CODECS = {"vp9": "libvpx-vp9", "av1": "libsvtav1"}
EXIF_MODEL, EXIF_MAKE = 0x0110, 0x010F
"""ComfyUI keeps the prompt in the first, the rest in the second and those below it."""


@node("CreateVideo")
def create_video(
    run: NodeRun, *, images: Pixels, fps: float, audio: Audio | None = None, bit_depth: int = 8
) -> tuple[Video]:
    """Frames, rate and sound as one."""
    return (Video(images, Fraction(fps), audio, bit_depth),)


@node("GetVideoComponents")
def get_video_components(run: NodeRun, *, video: Video) -> tuple[Pixels, Audio | None, float, int]:
    """Frames, sound, rate and bit depth."""
    return video.frames, video.audio, float(video.rate), video.bit_depth


def video_exists(folders: Any, file: str | None = None, **_: Any) -> bool | str:
    """True, or the sentence ComfyUI gives for a missing file."""
    return file_exists(folders, file) is True or f"Invalid video file: {file}"


def video_changed(folders: Any, file: str, **_: Any) -> float:
    """When the file was written."""
    changed: float = folders.input_path(file).stat().st_mtime
    return changed


@node("LoadVideo", fingerprint=video_changed, validate=video_exists, validated=["file"])
def load_video(run: NodeRun, *, file: str) -> tuple[Video]:
    """A video from the input folder."""
    return (read_video(run.folders.input_path(file)),)


@node("SaveVideo")
def save_video(run: NodeRun, *, video: Video, filename_prefix: str, format: str, codec: dict[str, Any]) -> NodeResult:
    """An MP4 file in output/."""
    height, width = video.frames.shape[1:3]
    place = run.folders.save_place("output", filename_prefix, width, height)
    name = f"{place.stem}_{place.counter:05}_.mp4"
    encoding = codec.get("encoding")
    crf = encoding.get("crf") if isinstance(encoding, dict) else None
    write_mp4(run, place.folder / name, video, {} if crf is None else {"crf": str(crf)})
    return NodeResult((video,), _shown(name, place.subfolder))


@node("SaveWEBM")
def save_webm(run: NodeRun, *, images: Pixels, filename_prefix: str, codec: str, fps: float, crf: float) -> NodeResult:
    """A WebM file in output/."""
    height, width = images.shape[1:3]
    place = run.folders.save_place("output", filename_prefix, width, height)
    name = f"{place.stem}_{place.counter:05}_.webm"
    with av.open(str(place.folder / name), "w") as container:
        container.metadata.update(file_texts(run))
        stream: Any = container.add_stream(WEBM_CODECS[codec], rate=_rate(Fraction(fps)))
        stream.width, stream.height, stream.bit_rate = width, height, 0
        stream.pix_fmt = "yuv420p10le" if codec == "av1" else "yuv420p"
        stream.options = {"crf": str(crf)} | ({"preset": "6"} if codec == "av1" else {})
        _encode(run, container, stream, images)
    return NodeResult((images,), _shown(name, place.subfolder))


def write_mp4(run: NodeRun, path: Path, video: Video, options: dict[str, str]) -> None:
    """Write frames and sound; the workflow and the note that this was a rehearsal go into the metadata."""
    movflags = {"movflags": "use_metadata_tags+faststart"}
    rate = _rate(video.rate)
    with av.open(str(path), "w", options=movflags) as container:
        container.metadata.update(file_texts(run))
        stream: Any = container.add_stream("h264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = video.frames.shape[2], video.frames.shape[1], "yuv420p"
        # A placeholder need not be small, it needs to be there soon.
        stream.options = {"preset": "ultrafast", **options}
        sound = _sound_stream(container, video.audio)
        _encode(run, container, stream, video.frames)
        if sound is not None and video.audio is not None:
            length = math.ceil(video.audio["sample_rate"] / rate * len(video.frames))
            _encode_sound(container, sound, video.audio, length)


def _rate(rate: Fraction) -> Fraction:
    return Fraction(round(rate * 1000), 1000)


def _encode(run: NodeRun, container: Any, stream: Any, frames: Pixels) -> None:
    for levels in byte_frames(frames):
        run.interrupt.check()
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels[..., :3]), format="rgb24")
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def byte_frames(frames: Pixels) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames as bytes. Windows that move along one wide picture are not converted one by one, but at once."""
    count, rows, columns, channels = frames.shape
    step, rest = divmod(frames.strides[0], frames.strides[2] or 1)
    if (
        count > 1
        and 0 < step < columns
        and rest == 0
        and frames.strides[2] > 0
        and frames.strides[1] > frames.strides[0]
    ):
        wide = np.lib.stride_tricks.as_strided(
            frames[0], (rows, columns + (count - 1) * step, channels), frames.strides[1:], writeable=False
        )
        levels = to_bytes(wide)
        return (levels[:, i * step : i * step + columns] for i in range(count))
    return (to_bytes(frame) for frame in frames)


def _sound_stream(container: Any, audio: Audio | None) -> Any:
    if audio is None:
        return None
    layout = {1: "mono", 2: "stereo", 6: "5.1"}.get(audio["waveform"].shape[1], "stereo")
    return container.add_stream("aac", rate=audio["sample_rate"], layout=layout)


def _encode_sound(container: Any, stream: Any, audio: Audio, length: int) -> None:
    waveform = np.ascontiguousarray(audio["waveform"][0, :, :length], np.float32)
    frame = av.AudioFrame.from_ndarray(waveform, format="fltp", layout=stream.layout.name)
    frame.sample_rate = audio["sample_rate"]
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def file_texts(run: NodeRun) -> dict[str, str]:
    """What goes into a file's metadata."""
    texts = {key: json.dumps(value) for key, value in (run.extra_pnginfo or {}).items()}
    return {**texts, "prompt": json.dumps(run.graph), "rehearsal": REHEARSAL_NOTE, "comment": REHEARSAL_NOTE}


def _shown(name: str, subfolder: str, *, animated: bool = True) -> dict[str, Any]:
    return {"images": [{"filename": name, "subfolder": subfolder, "type": "output"}], "animated": (animated,)}


# --- animated pictures -------------------------------------------------------------------------------------------


def _pictures(images: Pixels) -> Iterator[Image.Image]:
    return (Image.fromarray(to_bytes(image)) for image in images)


@node("SaveAnimatedWEBP")
def save_animated_webp(
    run: NodeRun, *, images: Pixels, filename_prefix: str, fps: float, lossless: bool, quality: int, method: str
) -> NodeResult:
    """One WebP file in output/."""
    place = run.folders.save_place("output", filename_prefix, images.shape[2], images.shape[1])
    name = f"{place.stem}_{place.counter:05}_.webp"
    first, *others = _pictures(images)
    exif = first.getexif()
    exif[EXIF_MODEL] = f"prompt:{json.dumps(run.graph)}"
    rest = {**(run.extra_pnginfo or {}), "rehearsal": REHEARSAL_NOTE}
    for tag, (key, value) in enumerate(rest.items()):
        exif[EXIF_MAKE - tag] = f"{key}:{json.dumps(value)}"
    first.save(
        place.folder / name,
        save_all=True,
        append_images=others,
        duration=int(1000 / fps),
        exif=exif,
        lossless=lossless,
        quality=quality,
        method=WEBP_METHODS[method],
    )
    return NodeResult((images,), _shown(name, place.subfolder, animated=len(images) > 1))


@node("SaveAnimatedPNG")
def save_animated_png(
    run: NodeRun, *, images: Pixels, filename_prefix: str, fps: float, compress_level: int
) -> NodeResult:
    """One animated PNG file in output/."""
    place = run.folders.save_place("output", filename_prefix, images.shape[2], images.shape[1])
    name = f"{place.stem}_{place.counter:05}_.png"
    first, *others = _pictures(images)
    first.save(
        place.folder / name,
        save_all=True,
        append_images=others,
        duration=int(1000 / fps),
        pnginfo=png_text(run),
        compress_level=compress_level,
    )
    return NodeResult((images,), _shown(name, place.subfolder, animated=len(images) > 1))
