"""The nodes that stand for models: timing, progress, previews, placeholders, and the files made of them."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from services.worker.rehearsal.interrupt import InterruptedPrompt
from services.worker.rehearsal.nodes.video import byte_frames
from services.worker.rehearsal.pixels import to_bytes
from services.worker.rehearsal.placeholder import draw_pictures
from services.worker.rehearsal.values import Audio, AudioLatent, Conditioning, Guider, Latent, Model, Noise, memory_of
from tests.support.rehearsal_nodes import Bench

MODEL = Model("m.safetensors")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sampled(bench: Bench, seed: int = 1, text: str = "a lighthouse", **latent: Any) -> Latent:
    """What the classic sampler returns for an empty latent."""
    empty = bench.out("EmptyLatentImage", **({"width": 64, "height": 64} | latent))
    answer: Latent = bench.out(
        "KSampler",
        model=MODEL,
        seed=seed,
        steps=3,
        cfg=7.0,
        sampler_name="euler",
        scheduler="normal",
        positive=Conditioning(text),
        negative=Conditioning(""),
        latent_image=empty,
        denoise=1.0,
    )
    return answer


def test_the_same_seed_draws_the_same_and_another_draws_differently(bench: Bench) -> None:
    first, again, other = (bench.out("VAEDecode", samples=sampled(bench, seed), vae=MODEL) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_prompt_changes_the_picture(bench: Bench) -> None:
    one, two = (bench.out("VAEDecode", samples=sampled(bench, text=text), vae=MODEL) for text in ("a", "b"))
    assert (one != two).any()


def test_each_picture_of_a_batch_differs(bench: Bench) -> None:
    pictures = bench.out("VAEDecode", samples=sampled(bench, batch_size=2), vae=MODEL)
    assert pictures.shape == (2, 64, 64, 3)
    assert (pictures[0] != pictures[1]).any()


def test_a_sampler_reports_first_and_last_step_without_previews(bench: Bench) -> None:
    sampled(bench)
    assert [report[:2] for report in bench.reports] == [(1, 3), (3, 3)]
    assert all(report[2] is None for report in bench.reports)


def test_a_sampler_with_previews_reports_every_step_with_a_picture(tmp_path: Path) -> None:
    bench = Bench(tmp_path, previews=True)
    sampled(bench)
    assert [report[:2] for report in bench.reports] == [(1, 3), (2, 3), (3, 3)]
    assert all(preview is not None and preview.size == (512, 512) for _, _, preview in bench.reports)


def test_a_sampler_stops_between_two_steps_when_asked_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, step_seconds=3600)
    bench.interrupt.ask()
    with pytest.raises(InterruptedPrompt):
        sampled(bench)


def test_the_custom_sampler_takes_one_step_less_than_there_are_sigmas(bench: Bench) -> None:
    sigmas = bench.out("ManualSigmas", sigmas="0.9, 0.725, 0.4, 0.0")
    noise = bench.out("RandomNoise", noise_seed=5)
    guider = bench.out("CFGGuider", model=MODEL, positive=Conditioning("x"), negative=Conditioning(""), cfg=1.0)
    drawn = bench.out(
        "SamplerCustomAdvanced", noise=noise, guider=guider, sampler="euler", sigmas=sigmas, latent_image=Latent(64, 64)
    )
    assert (drawn.seed, drawn.text, bench.reports[-1][:2]) == (5, "x", (3, 3))
    assert (noise, guider) == (Noise(5), Guider(MODEL, Conditioning("x")))


@pytest.mark.parametrize(
    ("node", "inputs", "count"),
    [
        ("Flux2Scheduler", {"steps": 4, "width": 64, "height": 64}, 5),
        ("BasicScheduler", {"model": MODEL, "scheduler": "normal", "steps": 7, "denoise": 1.0}, 8),
        ("BasicScheduler", {"model": MODEL, "scheduler": "normal", "steps": 7, "denoise": 0.0}, 0),
        (
            "LTXVScheduler",
            {"steps": 20, "max_shift": 2.05, "base_shift": 0.95, "stretch": True, "terminal": 0.1},
            21,
        ),
    ],
)
def test_schedulers_give_one_sigma_more_than_steps(bench: Bench, node: str, inputs: dict[str, Any], count: int) -> None:
    assert len(bench.out(node, **inputs)) == count


@pytest.mark.parametrize(
    ("node", "inputs", "size"),
    [
        ("EmptyLatentImage", {"width": 517, "height": 64}, (512, 64, 1)),
        ("EmptySD3LatentImage", {"width": 512, "height": 64}, (512, 64, 1)),
        ("EmptyFlux2LatentImage", {"width": 1030, "height": 1024}, (1024, 1024, 1)),
        ("EmptyLTXVLatentVideo", {"width": 770, "height": 512, "length": 99}, (768, 512, 97)),
        ("LatentUpscaleBy", {"samples": Latent(64, 32), "upscale_method": "area", "scale_by": 1.5}, (96, 48, 1)),
        (
            "LatentUpscale",
            {"samples": Latent(64, 32), "upscale_method": "area", "width": 128, "height": 0, "crop": "disabled"},
            (128, 64, 1),
        ),
        ("LTXVLatentUpsampler", {"samples": Latent(64, 32, 9), "upscale_model": MODEL, "vae": MODEL}, (128, 64, 9)),
        ("VAEEncode", {"pixels": np.zeros((1, 33, 65, 3), np.float32), "vae": MODEL}, (64, 32, 1)),
    ],
)
def test_latents_have_the_sizes_that_comfyui_gives_them(
    bench: Bench, node: str, inputs: dict[str, Any], size: tuple[int, int, int]
) -> None:
    latent = bench.out(node, **inputs)
    assert (latent.width, latent.height, latent.frames) == size


def test_video_and_sound_are_joined_and_taken_apart(bench: Bench) -> None:
    sound = bench.out("LTXVEmptyLatentAudio", frames_number=50, frame_rate=25.0, batch_size=1, audio_vae=MODEL)
    joined = bench.out("LTXVConcatAVLatent", video_latent=Latent(64, 64, 9), audio_latent=sound)
    assert bench.run("LTXVSeparateAVLatent", av_latent=joined).outputs == (Latent(64, 64, 9), AudioLatent(2.0))
    with pytest.raises(ValueError, match="holds no audio"):
        bench.out("LTXVSeparateAVLatent", av_latent=Latent(64, 64))


def test_a_long_video_needs_no_more_memory_than_a_wide_picture() -> None:
    frames = draw_pictures(Latent(256, 128, frames=200, seed=1))
    assert frames.shape == (200, 128, 256, 3)
    assert memory_of(frames) < 4 * 128 * (256 + 200) * 3 * 1.1
    assert (frames[0] != frames[199]).any()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_frames_turn_into_bytes_the_same_way_one_by_one_and_all_at_once(count: int) -> None:
    windows = draw_pictures(Latent(16, 8, frames=count, seed=1))
    flat = np.broadcast_to(np.float32(0.5), (count, 8, 16, 3))
    for frames in (windows, windows.copy(), windows[:, ::2], windows[:, :, ::2], windows[::-1], flat):
        expected = [to_bytes(frame) for frame in frames]
        np.testing.assert_array_equal(np.stack(list(byte_frames(frames))), np.stack(expected))


def test_a_saved_video_plays_and_says_that_it_is_a_rehearsal(bench: Bench) -> None:
    frames = draw_pictures(Latent(64, 64, frames=9, seed=1))
    sound = bench.out("LTXVAudioVAEDecode", samples=AudioLatent(9 / 25, 3), audio_vae=MODEL)
    video = bench.out("CreateVideo", images=frames, fps=25.0, audio=sound)
    result = bench.run("SaveVideo", video=video, filename_prefix="v", format="auto", codec={"codec": "auto"})
    assert result.ui["animated"] == (True,)
    with av.open(str(bench.saved(result)[0])) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert "no model ran" in container.metadata["rehearsal"]
        assert sum(1 for _ in container.decode(video=0)) == 9


def test_a_video_is_loaded_again_with_its_frames_rate_and_sound(bench: Bench) -> None:
    frames = draw_pictures(Latent(64, 32, frames=5, seed=1))
    sound = bench.out("LTXVAudioVAEDecode", samples=AudioLatent(0.5, 3), audio_vae=MODEL)
    video = bench.out("CreateVideo", images=frames, fps=10.0, audio=sound)
    codec = {"codec": "h264", "encoding": {"encoding": "re-encode", "crf": 20.0}}
    saved = bench.saved(bench.run("SaveVideo", video=video, filename_prefix="v", format="mp4", codec=codec))[0]
    loaded = bench.out("LoadVideo", file=f"{saved.name} [output]")
    pixels, heard, rate, depth = bench.run("GetVideoComponents", video=loaded).outputs
    assert (pixels.shape, rate, depth) == ((5, 32, 64, 3), 10.0, 8)
    assert heard["waveform"].shape[:2] == (1, 2)
    assert heard["waveform"].shape[2] / heard["sample_rate"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_a_webm_is_written(bench: Bench, codec: str) -> None:
    frames = draw_pictures(Latent(64, 64, frames=3, seed=1))
    result = bench.run("SaveWEBM", images=frames, filename_prefix="w", codec=codec, fps=24.0, crf=40.0)
    with av.open(str(bench.saved(result)[0])) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


def test_animated_pictures_have_all_frames(bench: Bench) -> None:
    frames = draw_pictures(Latent(32, 32, frames=4, seed=1))
    webp = bench.run(
        "SaveAnimatedWEBP", images=frames, filename_prefix="a", fps=5.0, lossless=True, quality=80, method="fastest"
    )
    png = bench.run("SaveAnimatedPNG", images=frames, filename_prefix="a", fps=5.0, compress_level=1)
    for result in (webp, png):
        with Image.open(bench.saved(result)[0]) as picture:
            assert getattr(picture, "n_frames", 1) == 4
        assert result.ui["animated"] == (True,)


@pytest.mark.parametrize(
    ("node", "inputs", "codec"),
    [
        ("SaveAudio", {"filename_prefix": "s"}, "flac"),
        ("SaveAudioMP3", {"filename_prefix": "s", "quality": "128k"}, "mp3float"),
        ("SaveAudioOpus", {"filename_prefix": "s", "quality": "64k"}, "libopus"),
        ("PreviewAudio", {}, "flac"),
    ],
)
def test_sounds_are_written(bench: Bench, node: str, inputs: dict[str, Any], codec: str) -> None:
    sound: Audio = bench.out("EmptyAudio", duration=0.5, sample_rate=48_000, channels=2)
    result = bench.run(node, audio=sound, **inputs)
    with av.open(str(bench.saved(result, "audio")[0])) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name.startswith(codec.removeprefix("lib")[:3])
        assert (stream.rate, stream.channels) == (48_000, 2)


def test_a_sound_is_loaded_again(bench: Bench) -> None:
    sound = bench.out("LTXVAudioVAEDecode", samples=AudioLatent(0.5, 3), audio_vae=MODEL)
    saved = bench.saved(bench.run("SaveAudio", audio=sound, filename_prefix="s"), "audio")[0]
    loaded = bench.out("LoadAudio", audio=f"{saved.name} [output]")
    assert loaded["sample_rate"] == sound["sample_rate"]
    np.testing.assert_allclose(loaded["waveform"], sound["waveform"], atol=1e-4)


def test_a_file_without_sound_is_refused(bench: Bench) -> None:
    Image.new("RGB", (4, 4)).save(bench.folders.root / "input" / "p.png")
    with pytest.raises(ValueError, match="No audio"):
        bench.out("LoadAudio", audio="p.png")


def test_opus_refuses_a_sample_rate_it_does_not_have(bench: Bench) -> None:
    sound = bench.out("EmptyAudio", duration=0.1, sample_rate=44_100, channels=1)
    with pytest.raises(ValueError, match="sample rate"):
        bench.run("SaveAudioOpus", audio=sound, filename_prefix="s")


def test_loras_are_told_on_the_placeholder(bench: Bench) -> None:
    model = bench.out("LoraLoaderModelOnly", model=MODEL, lora_name="style.safetensors", strength_model=1.0)
    assert model.loras == ("style.safetensors",)
    both = bench.run(
        "LoraLoader", model=MODEL, clip=MODEL, lora_name="style.safetensors", strength_model=1.0, strength_clip=1.0
    )
    assert both.outputs == (model, model)


def test_a_text_is_encoded_and_zeroed(bench: Bench) -> None:
    encoded = bench.out("CLIPTextEncode", text="a", clip=MODEL)
    assert encoded == Conditioning("a")
    assert bench.out("ConditioningZeroOut", conditioning=encoded) == Conditioning("")
    with pytest.raises(RuntimeError, match="clip input is invalid"):
        bench.out("CLIPTextEncode", text="a", clip=None)
