"""Nodes that load models: they take time the first time, and hand on a name."""

from typing import Any

from services.worker.rehearsal.nodes.registry import NodeRun, node
from services.worker.rehearsal.values import Model


def _load(run: NodeRun, name: str) -> Model:
    run.load_model(name)
    return Model(name)


@node("CheckpointLoaderSimple")
def checkpoint_loader(run: NodeRun, *, ckpt_name: str) -> tuple[Model, Model, Model]:
    """Model, text encoder and VAE from one file."""
    model = _load(run, ckpt_name)
    return model, model, model


@node("UNETLoader")
def unet_loader(run: NodeRun, *, unet_name: str, weight_dtype: str = "default") -> tuple[Model]:
    """A diffusion model."""
    return (_load(run, unet_name),)


@node("CLIPLoader")
def clip_loader(run: NodeRun, *, clip_name: str, type: str = "", device: str = "default") -> tuple[Model]:
    """A text encoder."""
    return (_load(run, clip_name),)


@node("DualCLIPLoader")
def dual_clip_loader(
    run: NodeRun, *, clip_name1: str, clip_name2: str, type: str = "", device: str = "default"
) -> tuple[Model]:
    """Two text encoders as one."""
    run.load_model(clip_name2)
    return (_load(run, clip_name1),)


@node("VAELoader")
def vae_loader(run: NodeRun, *, vae_name: str) -> tuple[Model]:
    """A VAE."""
    return (_load(run, vae_name),)


@node("LTXAVTextEncoderLoader")
def ltxav_text_encoder_loader(
    run: NodeRun, *, text_encoder: str, ckpt_name: str, device: str = "default"
) -> tuple[Model]:
    """LTX's text encoder."""
    return (_load(run, text_encoder),)


@node("LTXVAudioVAELoader")
def ltxv_audio_vae_loader(run: NodeRun, *, ckpt_name: str) -> tuple[Model]:
    """LTX's VAE for sound, from the checkpoint."""
    return (_load(run, f"{ckpt_name} (audio)"),)


@node("LatentUpscaleModelLoader")
def latent_upscale_model_loader(run: NodeRun, *, model_name: str) -> tuple[Model]:
    """A model that enlarges latents."""
    return (_load(run, model_name),)


@node("LoraLoaderModelOnly")
def lora_loader_model_only(run: NodeRun, *, model: Model, lora_name: str, strength_model: float) -> tuple[Model]:
    """A LoRA on a model."""
    run.load_model(lora_name)
    return (Model(model.name, (*model.loras, lora_name)),)


@node("ModelSamplingAuraFlow")
@node("ModelSamplingSD3")
def model_sampling(run: NodeRun, *, model: Model, shift: float) -> tuple[Model]:
    """Another noise schedule for a model; the stock page's default workflow has one."""
    return (model,)


@node("LoraLoader")
def lora_loader(
    run: NodeRun, *, model: Model, clip: Model, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, Model]:
    """A LoRA on a model and its text encoder."""
    run.load_model(lora_name)
    return Model(model.name, (*model.loras, lora_name)), Model(clip.name, (*clip.loras, lora_name))


@node("CLIPSetLastLayer")
def clip_set_last_layer(run: NodeRun, *, clip: Model, stop_at_clip_layer: int) -> tuple[Model]:
    """No difference to a placeholder."""
    return (clip,)


@node("FluxKVCache")
def flux_kv_cache(run: NodeRun, *, model: Model, **_: Any) -> tuple[Model]:
    """No difference to a placeholder."""
    return (model,)
