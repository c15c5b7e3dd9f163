"""The mask nodes of the rehearsal engine, value by value."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.rehearsal_nodes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_solid_mask_inverts(bench: Bench) -> None:
    mask = bench.out("SolidMask", value=0.25, width=3, height=2)
    assert mask.shape == (1, 2, 3)
    assert bench.out("InvertMask", mask=mask)[0, 0, 0] == 0.75


def test_masks_and_pictures_turn_into_each_other(bench: Bench) -> None:
    mask = np.arange(4, dtype=np.float32).reshape(1, 2, 2) / 4
    image = bench.out("MaskToImage", mask=mask)
    assert image.shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(bench.out("ImageToMask", image=image, channel="green"), mask)
    with pytest.raises(IndexError):
        bench.out("ImageToMask", image=image, channel="alpha")


def test_a_colour_is_found_exactly(bench: Bench) -> None:
    image = bench.out("EmptyImage", width=2, height=1, color=0x102030)
    assert bench.out("ImageColorToMask", image=image, color=0x102030).tolist() == [[[1, 1]]]
    assert bench.out("ImageColorToMask", image=image, color=0x102031).tolist() == [[[0, 0]]]


def test_a_mask_is_cropped_and_cut_at_a_threshold(bench: Bench) -> None:
    mask = np.arange(16, dtype=np.float32).reshape(1, 4, 4) / 16
    assert bench.out("CropMask", mask=mask, x=1, y=2, width=2, height=9).shape == (1, 2, 2)
    assert bench.out("ThresholdMask", mask=mask, value=0.5).sum() == 7


def test_feathering_rises_along_the_edges(bench: Bench) -> None:
    mask = np.ones((1, 1, 6), np.float32)
    assert bench.out("FeatherMask", mask=mask, left=2, top=0, right=4, bottom=0)[0, 0].tolist() == [
        0.5, 1, 1, 0.75, 0.5, 0.25,
    ]  # fmt: skip


@pytest.mark.parametrize(("tapered", "count"), [(True, 5), (False, 9)])
def test_growing_adds_the_neighbours_and_shrinking_takes_them(bench: Bench, tapered: bool, count: int) -> None:
    mask = np.zeros((1, 5, 5), np.float32)
    mask[0, 2, 2] = 1
    grown = bench.out("GrowMask", mask=mask, expand=1, tapered_corners=tapered)
    assert grown.sum() == count
    np.testing.assert_array_equal(bench.out("GrowMask", mask=grown, expand=-1, tapered_corners=tapered), mask)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.25), ("add", 1.0), ("subtract", 0.0), ("and", 0.0), ("or", 0.0), ("xor", 0.0)],
)
def test_masks_are_combined_at_a_place(bench: Bench, operation: str, expected: float) -> None:
    destination = np.full((1, 3, 3), 0.5, np.float32)
    source = np.full((1, 2, 2), 0.5, np.float32)
    combined = bench.out("MaskComposite", destination=destination, source=source, x=2, y=2, operation=operation)
    assert combined[0, 2, 2] == expected
    assert combined[0, 0, 0] == 0.5


def test_a_picture_is_laid_over_another_where_the_mask_allows(bench: Bench) -> None:
    black, white = np.zeros((1, 4, 4, 3), np.float32), np.ones((1, 2, 2, 3), np.float32)
    mask = np.array([[[0.0, 1.0], [0.5, 1.0]]], np.float32)
    laid = bench.out("ImageCompositeMasked", destination=black, source=white, x=1, y=2, resize_source=False, mask=mask)
    assert laid[0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0.5, 1, 0]]
    over_edge = bench.out("ImageCompositeMasked", destination=black, source=white, x=3, y=3, resize_source=False)
    assert over_edge.sum() == 3
    whole = bench.out("ImageCompositeMasked", destination=black, source=white, x=0, y=0, resize_source=True)
    assert (whole == 1).all()


def test_alpha_is_joined_and_split(bench: Bench) -> None:
    image = np.full((1, 2, 2, 3), 0.5, np.float32)
    mask = np.array([[[1.0, 0.0], [0.25, 0.5]]], np.float32)
    joined = bench.out("JoinImageWithAlpha", image=image, alpha=mask)
    assert joined.shape == (1, 2, 2, 4)
    colours, alpha = bench.run("SplitImageWithAlpha", image=joined).outputs
    np.testing.assert_array_equal(colours, image)
    np.testing.assert_array_equal(alpha, mask)
    assert not bench.run("SplitImageWithAlpha", image=image).outputs[1].any()


def test_a_mask_is_shown_as_a_picture(bench: Bench) -> None:
    result = bench.run("MaskPreview", mask=np.ones((1, 2, 2), np.float32))
    assert bench.saved(result)[0].exists()
