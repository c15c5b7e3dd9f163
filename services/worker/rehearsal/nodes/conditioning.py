"""Nodes for prompts: they keep the text, which ends up on the placeholder."""

from typing import Any

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.values import Conditioning, Guider, Latent, Model


@node("CLIPTextEncode")
def clip_text_encode(run: NodeRun, *, text: str, clip: Model | None) -> tuple[Conditioning]:
    """A text. Raises RuntimeError without an encoder, as ComfyUI does."""
    if clip is None:
        raise RuntimeError("ERROR: clip input is invalid: None")
    return (Conditioning(text),)


@node("ConditioningZeroOut")
def conditioning_zero_out(run: NodeRun, *, conditioning: Conditioning) -> tuple[Conditioning]:
    """Nothing of the text is left."""
    return (Conditioning(""),)


@node("FluxGuidance")
def flux_guidance(run: NodeRun, *, conditioning: Conditioning, guidance: float) -> tuple[Conditioning]:
    """No difference to a placeholder."""
    return (conditioning,)


@node("ReferenceLatent")
def reference_latent(run: NodeRun, *, conditioning: Conditioning, latent: Latent | None = None) -> tuple[Conditioning]:
    """No difference to a placeholder."""
    return (conditioning,)


@node("LTXVConditioning")
def ltxv_conditioning(
    run: NodeRun, *, positive: Conditioning, negative: Conditioning, frame_rate: float
) -> tuple[Conditioning, Conditioning]:
    """No difference to a placeholder."""
    return positive, negative


@node("LTXVCropGuides")
def ltxv_crop_guides(
    run: NodeRun, *, positive: Conditioning, negative: Conditioning, latent: Latent
) -> tuple[Conditioning, Conditioning, Latent]:
    """There are no guides to take away."""
    return positive, negative, latent


@node("BasicGuider")
def basic_guider(run: NodeRun, *, model: Model, conditioning: Conditioning) -> tuple[Guider]:
    """Model and prompt."""
    return (Guider(model, conditioning),)


@node("CFGGuider", "LTXVDualCFGGuider")
def cfg_guider(
    run: NodeRun, *, model: Model, positive: Conditioning, negative: Conditioning, **_: float
) -> tuple[Guider]:
    """Model and prompts."""
    return (Guider(model, positive),)


@node("TextGenerateLTX2Prompt")
def text_generate_ltx2_prompt(run: NodeRun, *, clip: Model, prompt: str, **_: Any) -> tuple[str]:
    """A language model would write the prompt out; the rehearsal hands it on."""
    run.wait(run.pace.load)
    return (prompt,)
