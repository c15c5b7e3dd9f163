"""Samplers: they take their time step by step, with progress and previews, and note seed, prompt and model."""

import math
import re
import time
from dataclasses import replace

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.placeholder import draw_preview
from services.worker.rehearsal.values import AudioLatent, Conditioning, Guider, Latent, Model, Noise

Sigmas = tuple[float, ...]
LEAST_INTERVAL = 0.1
"""Seconds between two progress messages without a preview; the first and the last are always sent."""

NUMBER = re.compile(r"[-+]?(?:\d*\.*\d+)")


def sample(run: NodeRun, latent: Latent, guider: Guider, seed: int | None, steps: int) -> Latent:
    """Walk through the steps; raises InterruptedPrompt between two of them when a stop is asked for."""
    model = " + ".join((guider.model.name, *guider.model.loras))
    audio = AudioLatent(latent.audio.seconds, seed or 0) if latent.audio else None
    drawn = replace(latent, seed=seed, text=guider.positive.text, model=model, audio=audio)
    told = -math.inf
    for step in range(1, steps + 1):
        run.wait(run.pace.step)
        if run.previews:
            run.report(step, steps, draw_preview(drawn, step / steps))
        elif step in (1, steps) or time.monotonic() - told >= LEAST_INTERVAL:
            run.report(step, steps, None)
            told = time.monotonic()
    return drawn


def even_sigmas(steps: int) -> Sigmas:
    """Noise levels from 1 to 0; a placeholder only needs their number."""
    return tuple(1 - step / steps for step in range(steps + 1))


@node("KSampler")
def ksampler(
    run: NodeRun,
    *,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float = 1.0,
) -> tuple[Latent]:
    """The classic sampler."""
    return (sample(run, latent_image, Guider(model, positive), seed, steps),)


@node("KSamplerAdvanced")
def ksampler_advanced(
    run: NodeRun,
    *,
    model: Model,
    noise_seed: int,
    steps: int,
    positive: Conditioning,
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    **_: object,
) -> tuple[Latent]:
    """Some of the steps."""
    count = max(min(end_at_step, steps) - start_at_step, 0)
    return (sample(run, latent_image, Guider(model, positive), noise_seed, count),)


@node("SamplerCustomAdvanced")
def sampler_custom_advanced(
    run: NodeRun, *, noise: Noise, guider: Guider, sampler: str, sigmas: Sigmas, latent_image: Latent
) -> tuple[Latent, Latent]:
    """One step less than there are noise levels."""
    drawn = sample(run, latent_image, guider, noise.seed, max(len(sigmas) - 1, 0))
    return drawn, drawn


@node("SamplerCustom")
def sampler_custom(
    run: NodeRun,
    *,
    model: Model,
    add_noise: bool,
    noise_seed: int,
    positive: Conditioning,
    sigmas: Sigmas,
    latent_image: Latent,
    **_: object,
) -> tuple[Latent, Latent]:
    """One step less than there are noise levels."""
    drawn = sample(run, latent_image, Guider(model, positive), noise_seed, max(len(sigmas) - 1, 0))
    return drawn, drawn


@node("RandomNoise")
def random_noise(run: NodeRun, *, noise_seed: int) -> tuple[Noise]:
    """A seed."""
    return (Noise(noise_seed),)


@node("DisableNoise")
def disable_noise(run: NodeRun) -> tuple[Noise]:
    """No seed."""
    return (Noise(None),)


@node("KSamplerSelect")
def ksampler_select(run: NodeRun, *, sampler_name: str) -> tuple[str]:
    """A sampler's name."""
    return (sampler_name,)


@node("BasicScheduler")
def basic_scheduler(run: NodeRun, *, model: Model, scheduler: str, steps: int, denoise: float) -> tuple[Sigmas]:
    """Noise levels."""
    return (even_sigmas(steps) if denoise > 0 else (),)


@node("Flux2Scheduler")
def flux2_scheduler(run: NodeRun, *, steps: int, width: int, height: int) -> tuple[Sigmas]:
    """Noise levels."""
    return (even_sigmas(steps),)


@node("LTXVScheduler")
def ltxv_scheduler(
    run: NodeRun,
    *,
    steps: int,
    max_shift: float,
    base_shift: float,
    stretch: bool,
    terminal: float,
    latent: Latent | None = None,
) -> tuple[Sigmas]:
    """Noise levels."""
    return (even_sigmas(steps),)


@node("ManualSigmas")
def manual_sigmas(run: NodeRun, *, sigmas: str) -> tuple[Sigmas]:
    """The numbers in a text."""
    return (tuple(float(number) for number in NUMBER.findall(sigmas)),)
