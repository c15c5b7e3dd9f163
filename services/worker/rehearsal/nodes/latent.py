"""Nodes that make, join and change latents, and the way from pictures to latents and back."""

from dataclasses import replace
from typing import Any

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.pixels import Pixels
from services.worker.rehearsal.placeholder import draw_pictures
from services.worker.rehearsal.values import AudioLatent, Latent, Model


@node("EmptyLatentImage", "EmptySD3LatentImage")
def empty_latent_image(run: NodeRun, *, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
    """Sides are cut to multiples of 8."""
    return (Latent(width // 8 * 8, height // 8 * 8, batch=batch_size),)


@node("EmptyFlux2LatentImage")
def empty_flux2_latent_image(run: NodeRun, *, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
    """Sides are cut to multiples of 16."""
    return (Latent(width // 16 * 16, height // 16 * 16, batch=batch_size),)


@node("EmptyLTXVLatentVideo")
def empty_ltxv_latent_video(
    run: NodeRun, *, width: int, height: int, length: int, batch_size: int = 1
) -> tuple[Latent]:
    """Sides are cut to multiples of 32, the length to a multiple of 8 and one more frame."""
    return (Latent(width // 32 * 32, height // 32 * 32, frames=(length - 1) // 8 * 8 + 1, batch=batch_size),)


@node("LTXVEmptyLatentAudio")
def ltxv_empty_latent_audio(
    run: NodeRun, *, frames_number: int, frame_rate: float, batch_size: int, audio_vae: Model
) -> tuple[AudioLatent]:
    """As long as the video."""
    return (AudioLatent(frames_number / frame_rate),)


@node("LTXVConcatAVLatent")
def ltxv_concat_av_latent(run: NodeRun, *, video_latent: Latent, audio_latent: AudioLatent) -> tuple[Latent]:
    """Video and sound as one."""
    return (replace(video_latent, audio=audio_latent),)


@node("LTXVSeparateAVLatent")
def ltxv_separate_av_latent(run: NodeRun, *, av_latent: Latent) -> tuple[Latent, AudioLatent]:
    """Video and sound apart. Raises ValueError when there is no sound in it."""
    if av_latent.audio is None:
        raise ValueError("av_latent holds no audio latent; join one with LTXVConcatAVLatent first.")
    return replace(av_latent, audio=None), av_latent.audio


@node("LTXVLatentUpsampler")
def ltxv_latent_upsampler(run: NodeRun, *, samples: Latent, upscale_model: Model, vae: Model) -> tuple[Latent]:
    """Twice as large."""
    return (replace(samples, width=samples.width * 2, height=samples.height * 2),)


@node("LTXVImgToVideoInplace")
def ltxv_img_to_video_inplace(
    run: NodeRun, *, vae: Model, image: Pixels, latent: Latent, strength: float, bypass: bool = False
) -> tuple[Latent]:
    """The video starts from the picture."""
    return (latent if bypass else replace(latent, source=image),)


@node("LatentUpscale")
def latent_upscale(
    run: NodeRun, *, samples: Latent, upscale_method: str, width: int, height: int, crop: str
) -> tuple[Latent]:
    """To a size; 0 for one side keeps the proportions."""
    if width == height == 0:
        return (samples,)
    width = width or round(samples.width * height / samples.height)
    height = height or round(samples.height * width / samples.width)
    return (replace(samples, width=max(width // 8, 8) * 8, height=max(height // 8, 8) * 8),)


@node("LatentUpscaleBy")
def latent_upscale_by(run: NodeRun, *, samples: Latent, upscale_method: str, scale_by: float) -> tuple[Latent]:
    """By a factor."""
    width, height = (round(side / 8 * scale_by) * 8 for side in (samples.width, samples.height))
    return (replace(samples, width=width, height=height),)


@node("SetLatentNoiseMask")
def set_latent_noise_mask(run: NodeRun, *, samples: Latent, mask: Pixels) -> tuple[Latent]:
    """No difference to a placeholder."""
    return (samples,)


@node("VAEEncode", "VAEEncodeForInpaint")
def vae_encode(run: NodeRun, *, pixels: Pixels, vae: Model, **_: Any) -> tuple[Latent]:
    """A latent that starts from a picture; sides are cut to multiples of 8."""
    count, rows, columns = pixels.shape[:3]
    return (Latent(columns // 8 * 8, rows // 8 * 8, batch=count, source=pixels),)


@node("VAEDecode", "VAEDecodeTiled")
def vae_decode(run: NodeRun, *, samples: Latent, vae: Model, **_: int) -> tuple[Pixels]:
    """The labelled placeholder."""
    run.wait(run.pace.step)
    return (draw_pictures(samples),)
