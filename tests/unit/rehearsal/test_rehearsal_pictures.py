"""The picture nodes of the rehearsal engine, value by value."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from services.worker.rehearsal.folders import OutsideFolder
from tests.support.rehearsal_nodes import Bench

Array = npt.NDArray[np.float32]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def ramp(height: int, width: int, channels: int = 3) -> Array:
    """One picture in which every value is different."""
    count = height * width * channels
    return (np.arange(count, dtype=np.float32) / np.float32(count)).reshape(1, height, width, channels)


def test_an_empty_image_has_its_colour_everywhere(bench: Bench) -> None:
    image = bench.out("EmptyImage", width=5, height=3, batch_size=2, color=0x3366FF)
    assert image.shape == (2, 3, 5, 3)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[1, 2, 4], np.array([0x33 / 255, 0x66 / 255, 1], np.float32))


def test_inverting_twice_gives_back_black_and_white(bench: Bench) -> None:
    image = np.array([[[[0.0, 0.25, 1.0]]]], np.float32)
    np.testing.assert_array_equal(bench.out("ImageInvert", image=image)[0, 0, 0], [1.0, 0.75, 0.0])


def test_saving_cuts_off_and_does_not_round(bench: Bench) -> None:
    image = np.array([[[[0.999, 0.5, -1.0], [2.0, 1.0, 0.002]]]], np.float32)
    result = bench.run("SaveImage", images=image, filename_prefix="x")
    with Image.open(bench.saved(result)[0]) as picture:
        assert np.asarray(picture).tolist() == [[[254, 127, 0], [255, 255, 0]]]


def test_saved_files_are_numbered_after_those_that_are_there(bench: Bench) -> None:
    image = ramp(2, 2)
    first = bench.run("SaveImage", images=np.concatenate([image, image]), filename_prefix="a/b")
    second = bench.run("SaveImage", images=image, filename_prefix="a/b")
    assert [e["filename"] for e in first.ui["images"]] == ["b_00001_.png", "b_00002_.png"]
    assert second.ui["images"] == [{"filename": "b_00003_.png", "subfolder": "a", "type": "output"}]


def test_a_saved_file_carries_the_workflow_and_the_note(bench: Bench) -> None:
    result = bench.run("SaveImage", images=ramp(2, 2), filename_prefix="x")
    with Image.open(bench.saved(result)[0]) as picture:
        texts: dict[str, str] = picture.text  # type: ignore[attr-defined]
    assert set(texts) == {"prompt", "workflow", "rehearsal"}
    assert "no model ran" in texts["rehearsal"]


def test_a_prefix_that_leaves_the_folder_is_refused(bench: Bench) -> None:
    with pytest.raises(OutsideFolder):
        bench.run("SaveImage", images=ramp(2, 2), filename_prefix="../outside")
    assert not list(bench.folders.root.rglob("*.png"))


def test_words_in_a_prefix_are_replaced(bench: Bench) -> None:
    result = bench.run("SaveImage", images=ramp(2, 3), filename_prefix="%width%x%height%_%batch_num%")
    assert result.ui["images"][0]["filename"] == "3x2_0_00001_.png"


def test_a_preview_goes_to_temp(bench: Bench) -> None:
    result = bench.run("PreviewImage", images=ramp(2, 2))
    assert result.ui["images"][0]["type"] == "temp"
    assert bench.saved(result)[0].exists()


def test_loading_gives_back_what_was_saved(bench: Bench) -> None:
    levels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    Image.fromarray(levels).save(bench.folders.root / "input" / "p.png")
    pixels, mask = bench.run("LoadImage", image="p.png").outputs
    np.testing.assert_array_equal(pixels[0], levels.astype(np.float32) / np.float32(255))
    assert mask.shape == (1, 64, 64)
    assert not mask.any()


def test_the_mask_of_a_loaded_picture_is_its_transparency(bench: Bench) -> None:
    levels = np.zeros((2, 2, 4), np.uint8)
    levels[..., 3] = [[0, 255], [51, 204]]
    Image.fromarray(levels).save(bench.folders.root / "input" / "p.png")
    pixels, mask = bench.run("LoadImage", image="p.png").outputs
    assert pixels.shape == (1, 2, 2, 3)
    np.testing.assert_allclose(mask[0], np.array([[1, 0], [0.8, 0.2]], np.float32), atol=1e-6)
    red = bench.out("LoadImageMask", image="p.png", channel="red")
    assert not red.any()


def test_a_photograph_is_turned_as_its_orientation_says(bench: Bench) -> None:
    picture = Image.new("RGB", (8, 4), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(bench.folders.root / "input" / "p.jpg", exif=exif)
    assert bench.out("LoadImage", image="p.jpg").shape == (1, 8, 4, 3)


def test_a_file_in_another_folder_is_named_by_its_annotation(bench: Bench) -> None:
    Image.new("RGB", (3, 2)).save(bench.folders.root / "output" / "p.png")
    assert bench.out("LoadImage", image="p.png [output]").shape == (1, 2, 3, 3)


def test_cropping_stops_at_the_edge(bench: Bench) -> None:
    image = ramp(4, 6)
    np.testing.assert_array_equal(bench.out("ImageCrop", image=image, width=2, height=3, x=1, y=1), image[:, 1:4, 1:3])
    assert bench.out("ImageCrop", image=image, width=9, height=9, x=99, y=99).shape == (1, 1, 1, 3)


def test_a_cropped_region_is_shown(bench: Bench) -> None:
    region = bench.out("PrimitiveBoundingBox", x=1, y=0, width=2, height=2)
    result = bench.run("ImageCropV2", image=ramp(4, 6), crop_region=region)
    assert result.outputs[0].shape == (1, 2, 2, 3)
    assert result.ui["animated"] == (False,)


@pytest.mark.parametrize(("turn", "corner"), [("90 degrees", (3, 0)), ("180 degrees", (3, 5)), ("270 degrees", (0, 5))])
def test_rotating_brings_another_corner_to_the_front(bench: Bench, turn: str, corner: tuple[int, int]) -> None:
    image = ramp(4, 6)
    np.testing.assert_array_equal(bench.out("ImageRotate", image=image, rotation=turn)[0, 0, 0], image[0][corner])


def test_flipping_mirrors_along_one_axis(bench: Bench) -> None:
    image = ramp(4, 6)
    np.testing.assert_array_equal(
        bench.out("ImageFlip", image=image, flip_method="x-axis: vertically")[0, 0], image[0, 3]
    )
    turned = bench.out("ImageFlip", image=image, flip_method="y-axis: horizontally")
    np.testing.assert_array_equal(turned[0, 0, 0], image[0, 0, 5])


def test_a_batch_takes_the_size_and_channels_of_the_first(bench: Bench) -> None:
    batch = bench.out("ImageBatch", image1=ramp(4, 4, 4), image2=ramp(8, 8))
    assert batch.shape == (2, 4, 4, 4)
    assert (batch[1, ..., 3] == 1).all()


def test_pictures_are_repeated_and_taken_out_again(bench: Bench) -> None:
    many = bench.out("RepeatImageBatch", image=np.concatenate([ramp(1, 1), ramp(1, 1) + 1]), amount=2)
    assert many[:, 0, 0, 0].tolist() == [0, 1, 0, 1]
    assert bench.out("ImageFromBatch", image=many, batch_index=-1, length=5)[:, 0, 0, 0].tolist() == [1]
    assert [len(b) for b in bench.out("RebatchImages", images=[many], batch_size=[3])] == [3, 1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("normal", 0.5), ("multiply", 0.25), ("screen", 0.75), ("overlay", 0.5), ("soft_light", 0.5), ("difference", 0.0)],
)
def test_blending_grey_with_grey(bench: Bench, mode: str, expected: float) -> None:
    grey = np.full((1, 2, 2, 3), 0.5, np.float32)
    mixed = bench.out("ImageBlend", image1=grey, image2=grey, blend_factor=1.0, blend_mode=mode)
    np.testing.assert_array_equal(mixed, np.full_like(grey, expected))


def test_blending_scales_the_second_picture(bench: Bench) -> None:
    mixed = bench.out(
        "ImageBlend", image1=ramp(4, 4), image2=np.ones((1, 9, 7, 4), np.float32), blend_factor=1.0, blend_mode="normal"
    )
    assert mixed.shape == (1, 4, 4, 3)


def test_padding_for_outpainting_masks_what_is_new(bench: Bench) -> None:
    image = ramp(8, 8)
    padded, mask = bench.run("ImagePadForOutpaint", image=image, left=8, top=0, right=0, bottom=0, feathering=2).outputs
    assert padded.shape == (1, 8, 16, 3)
    assert (padded[:, :, :8] == 0.5).all()
    np.testing.assert_array_equal(padded[:, :, 8:], image)
    np.testing.assert_array_equal(mask[0, 0], [1] * 9 + [0.25] + [0] * 6)


def test_padding_into_a_frame_centres_the_picture(bench: Bench) -> None:
    framed = bench.out(
        "ResizeAndPadImage",
        image=np.ones((1, 2, 4, 3), np.float32),
        target_width=4,
        target_height=4,
        padding_color="black",
        interpolation="nearest-exact",
    )
    assert framed[0, :, 0, 0].tolist() == [0, 1, 1, 0]


def test_stitching_puts_a_bar_between(bench: Bench) -> None:
    stitched = bench.out(
        "ImageStitch",
        image1=np.zeros((1, 2, 2, 3), np.float32),
        image2=np.full((1, 2, 2, 3), 0.5, np.float32),
        direction="right",
        match_image_size=False,
        spacing_width=1,
        spacing_color="red",
    )
    assert stitched[0, 0].tolist() == [[0, 0, 0]] * 2 + [[1, 0, 0]] * 2 + [[0.5] * 3] * 2


def test_the_size_of_an_image_is_also_told_as_text(bench: Bench) -> None:
    assert bench.run("GetImageSize", image=ramp(2, 7)).outputs == (7, 2, 1)
    assert bench.texts == ["width: 7, height: 2\n batch size: 1"]


def test_a_blur_keeps_a_flat_picture_and_softens_a_point(bench: Bench) -> None:
    flat = np.full((1, 9, 9, 3), 0.5, np.float32)
    np.testing.assert_allclose(bench.out("ImageBlur", image=flat, blur_radius=2, sigma=1.0), flat, atol=1e-6)
    point = np.zeros((1, 9, 9, 1), np.float32)
    point[0, 4, 4] = 1
    blurred = bench.out("ImageBlur", image=point, blur_radius=1, sigma=1.0)
    assert blurred[0, 4, 4, 0] == pytest.approx(1 / (1 + 4 * np.exp(-0.5) + 4 * np.exp(-1)))
    assert bench.out("ImageSharpen", image=flat, sharpen_radius=0, sigma=1.0, alpha=1.0) is flat


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-4"])
def test_quantizing_leaves_few_colours(bench: Bench, dither: str) -> None:
    image = bench.out("ImageQuantize", image=ramp(16, 16), colors=4, dither=dither)
    assert len(np.unique((image[0] * 255).round().reshape(-1, 3), axis=0)) <= 4


@pytest.mark.parametrize(
    ("wish", "size"),
    [
        ({"resize_type": "scale by multiplier", "multiplier": 2.0}, (8, 12)),
        ({"resize_type": "scale dimensions", "width": 3, "height": 0, "crop": "disabled"}, (2, 3)),
        ({"resize_type": "scale longer dimension", "longer_size": 12}, (8, 12)),
        ({"resize_type": "scale shorter dimension", "shorter_size": 8}, (8, 12)),
        ({"resize_type": "scale width", "width": 12}, (8, 12)),
        ({"resize_type": "scale height", "height": 8}, (8, 12)),
        ({"resize_type": "scale total pixels", "megapixels": 96 / 1024 / 1024}, (8, 12)),
        ({"resize_type": "scale to multiple", "multiple": 4}, (4, 4)),
        ({"resize_type": "match size", "match": np.zeros((1, 5, 9, 3), np.float32), "crop": "center"}, (5, 9)),
    ],
    ids=lambda value: value["resize_type"] if isinstance(value, dict) else "",
)
def test_each_way_of_resizing_reaches_its_size(bench: Bench, wish: dict[str, Any], size: tuple[int, int]) -> None:
    image = bench.out("ResizeImageMaskNode", input=ramp(4, 6), resize_type=wish, scale_method="area")
    mask = bench.out("ResizeImageMaskNode", input=ramp(4, 6)[..., 0], resize_type=wish, scale_method="bilinear")
    assert image.shape == (1, *size, 3)
    assert mask.shape == (1, *size)


@pytest.mark.parametrize(
    ("name", "inputs", "size"),
    [
        ("ImageScale", {"width": 12, "height": 0, "crop": "disabled"}, (8, 12)),
        ("ImageScale", {"width": 0, "height": 0, "crop": "disabled"}, (4, 6)),
        ("ImageScale", {"width": 4, "height": 4, "crop": "center"}, (4, 4)),
        ("ImageScaleBy", {"scale_by": 0.5}, (2, 3)),
        ("ImageScaleToMaxDimension", {"largest_size": 12}, (8, 12)),
        ("ImageScaleToTotalPixels", {"megapixels": 384 / 1024 / 1024, "resolution_steps": 8}, (16, 24)),
    ],
)
def test_each_scaling_node_reaches_its_size(
    bench: Bench, name: str, inputs: dict[str, Any], size: tuple[int, int]
) -> None:
    image = bench.out(name, image=ramp(4, 6), upscale_method="bicubic", **inputs)
    assert image.shape == (1, *size, 3)
    assert image.dtype == np.float32


def test_the_longer_edge_is_resized_by_lanczos(bench: Bench) -> None:
    assert bench.out("ResizeImagesByLongerEdge", images=ramp(4, 6), longer_edge=12).shape == (1, 8, 12, 3)
