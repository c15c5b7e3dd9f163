"""Nodes for sound. A model's sound is replaced by a soft tone whose pitch depends on the seed."""

from typing import Any

import av
import numpy as np

from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.nodes.image_files import file_exists, file_hash
from services.worker.rehearsal.nodes.registry import NodeResult, NodeRun, node
from services.worker.rehearsal.nodes.video import file_texts
from services.worker.rehearsal.picture_files import read_sound
from services.worker.rehearsal.values import Audio, AudioLatent, Latent, Model

SAMPLE_RATE = 24_000
LOUDNESS = 0.05
LOWEST_PITCH, PITCHES = 220.0, 24
CODECS = {"flac": "flac", "mp3": "libmp3lame", "opus": "libopus"}
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


@node("LTXVAudioVAEDecode")
def ltxv_audio_vae_decode(run: NodeRun, *, samples: AudioLatent | Latent, audio_vae: Model) -> tuple[Audio]:
    """The tone, in stereo."""
    latent = samples.audio if isinstance(samples, Latent) else samples
    if latent is None:
        raise ValueError("samples holds no audio latent; give one from LTXVEmptyLatentAudio.")
    pitch = LOWEST_PITCH * 2 ** (latent.seed % PITCHES / 12)
    time = np.arange(int(latent.seconds * SAMPLE_RATE), dtype=np.float64) / SAMPLE_RATE
    tone = (np.sin(2 * np.pi * pitch * time) * LOUDNESS).astype(np.float32)
    return ({"waveform": np.stack([tone, tone])[None], "sample_rate": SAMPLE_RATE},)


def audio_exists(folders: Folders, audio: str | None = None, **_: Any) -> bool | str:
    """True, or the sentence ComfyUI gives for a missing file."""
    return file_exists(folders, audio) is True or f"Invalid audio file: {audio}"


def audio_hash(folders: Folders, audio: str, **_: Any) -> str:
    """The content's hash."""
    return file_hash(folders, audio)


@node("LoadAudio", fingerprint=audio_hash, validate=audio_exists, validated=["audio"])
def load_audio(run: NodeRun, *, audio: str) -> tuple[Audio]:
    """The sound of a file in the input folder. Raises ValueError when there is none in it."""
    sound = read_sound(run.folders.input_path(audio))
    if sound is None:
        raise ValueError("No audio stream found in the file.")
    return (sound,)


@node("EmptyAudio")
def empty_audio(run: NodeRun, *, duration: float, sample_rate: int, channels: int) -> tuple[Audio]:
    """Silence."""
    silence = np.zeros((1, channels, round(duration * sample_rate)), np.float32)
    return ({"waveform": silence, "sample_rate": sample_rate},)


@node("SaveAudio")
def save_flac(run: NodeRun, *, audio: Audio, filename_prefix: str) -> NodeResult:
    """FLAC files in output/."""
    return NodeResult((audio,), {"audio": write_sounds(run, audio, "output", filename_prefix, "flac", 0)})


@node("SaveAudioMP3")
def save_mp3(run: NodeRun, *, audio: Audio, filename_prefix: str, quality: str = "V0") -> NodeResult:
    """MP3 files in output/."""
    return NodeResult(
        (audio,), {"audio": write_sounds(run, audio, "output", filename_prefix, "mp3", bit_rate(quality))}
    )


@node("SaveAudioOpus")
def save_opus(run: NodeRun, *, audio: Audio, filename_prefix: str, quality: str = "128k") -> NodeResult:
    """Opus files in output/. Raises ValueError for a sample rate that Opus does not have."""
    return NodeResult(
        (audio,), {"audio": write_sounds(run, audio, "output", filename_prefix, "opus", bit_rate(quality))}
    )


@node("PreviewAudio")
def preview_audio(run: NodeRun, *, audio: Audio) -> NodeResult:
    """FLAC files in temp/."""
    prefix = f"ComfyUI_temp_{run.node_id}"
    return NodeResult((audio,), {"audio": write_sounds(run, audio, "temp", prefix, "flac", 0)})


def bit_rate(quality: str) -> int:
    """Bits a second of a quality such as "128k"; 0 (the codec's own choice) for "V0"."""
    return int(quality[:-1]) * 1000 if quality.endswith("k") else 0


def write_sounds(run: NodeRun, audio: Audio, kind: str, prefix: str, suffix: str, bits: int) -> list[dict[str, str]]:
    """One file for each sound of the batch; returns their entries for the UI."""
    if suffix == "opus" and audio["sample_rate"] not in OPUS_RATES:
        raise ValueError(f"Opus needs a sample rate of {OPUS_RATES}, not {audio['sample_rate']}.")
    place = run.folders.save_place(kind, prefix)
    entries = []
    for number, waveform in enumerate(audio["waveform"]):
        name = f"{place.stem}_{place.counter + number:05}.{suffix}"
        layout = "mono" if len(waveform) == 1 else "stereo"
        with av.open(str(place.folder / name), "w", format=suffix) as container:
            container.metadata.update(file_texts(run))
            stream: Any = container.add_stream(CODECS[suffix], rate=audio["sample_rate"], layout=layout)
            if bits:
                stream.bit_rate = bits
            interleaved = np.ascontiguousarray(waveform.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
            frame.sample_rate, frame.pts = audio["sample_rate"], 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        entries.append({"filename": name, "subfolder": place.subfolder, "type": kind})
    return entries
