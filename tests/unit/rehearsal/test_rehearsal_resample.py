"""Resizing agrees with torch bit for bit."""

import hashlib

import numpy as np
import numpy.typing as npt
import pytest

from services.worker.rehearsal.resample import resize_mask, upscale

TORCH = [
    ("nearest-exact", (37, 53, 3), (64, 91), "79f7f1e7451bffcc"),
    ("bilinear", (37, 53, 3), (64, 91), "9cd96d01bc34a4b7"),
    ("area", (37, 53, 3), (64, 91), "a6d58066922beb66"),
    ("bicubic", (37, 53, 3), (64, 91), "d9d1066df2db2109"),
    ("nearest-exact", (100, 80, 3), (33, 47), "19c5512b28251d6e"),
    ("bilinear", (100, 80, 3), (33, 47), "811d7f54f2309d4f"),
    ("area", (100, 80, 3), (33, 47), "9c47d47eb4a7e848"),
    ("bicubic", (100, 80, 3), (33, 47), "9897681dd5307f45"),
    ("nearest-exact", (40, 30, 4), (90, 61), "494e76c62ebc8efa"),
    ("bilinear", (40, 30, 4), (90, 61), "0470b255d370d058"),
    ("area", (40, 30, 4), (90, 61), "2003015b04ba9be9"),
    ("bicubic", (40, 30, 4), (90, 61), "403142114b6483ee"),
    ("nearest-exact", (64, 64, 1), (128, 128), "431e4d5c2f3db7ba"),
    ("bilinear", (64, 64, 1), (128, 128), "959dee138f8bfe74"),
    ("area", (64, 64, 1), (128, 128), "431e4d5c2f3db7ba"),
    ("bicubic", (64, 64, 1), (128, 128), "a5bb2857b877db5a"),
    ("nearest-exact", (720, 1280, 3), (360, 500), "c94f1cc923161077"),
    ("bilinear", (720, 1280, 3), (360, 500), "499342c7f214bdcb"),
    ("area", (720, 1280, 3), (360, 500), "e2c4f523bb1c7395"),
    ("bicubic", (720, 1280, 3), (360, 500), "acd7dec5254c7dab"),
]
"""Method, size and channels before, size after, and the hash of what torch 2.13 made of `picture` on x86-64."""


def picture(height: int, width: int, channels: int) -> npt.NDArray[np.float32]:
    """A picture without any smoothness, made of whole numbers so that it is the same everywhere."""
    count = height * width * channels
    levels = (np.arange(count, dtype=np.int64) * 7919 % 1009).astype(np.float32) / np.float32(1009)
    return levels.reshape(1, height, width, channels)


@pytest.mark.parametrize(("method", "before", "after", "expected"), TORCH)
def test_resizing_gives_what_torch_gives(
    method: str, before: tuple[int, int, int], after: tuple[int, int], expected: str
) -> None:
    resized = upscale(picture(*before), after[1], after[0], method, "disabled")
    assert resized.dtype == np.float32
    assert hashlib.sha256(np.ascontiguousarray(resized).tobytes()).hexdigest()[:16] == expected


def test_a_mask_is_resized_like_a_picture_of_one_channel() -> None:
    image = picture(9, 7, 1)
    np.testing.assert_array_equal(
        resize_mask(image[..., 0], 20, 5), upscale(image, 20, 5, "bilinear", "disabled")[..., 0]
    )


def test_cropping_to_the_centre_takes_the_middle() -> None:
    image = picture(4, 10, 3)
    np.testing.assert_array_equal(upscale(image, 4, 4, "nearest-exact", "center"), image[:, :, 3:7])
    np.testing.assert_array_equal(
        upscale(image.swapaxes(1, 2), 4, 4, "nearest-exact", "center"), image.swapaxes(1, 2)[:, 3:7]
    )


def test_lanczos_works_on_bytes() -> None:
    resized = upscale(picture(8, 8, 3), 5, 3, "lanczos", "disabled") * 255
    np.testing.assert_allclose(resized, resized.round(), atol=1e-4)
    assert upscale(picture(8, 8, 1), 5, 3, "lanczos", "disabled").shape == (1, 3, 5, 1)


@pytest.mark.parametrize(("width", "method"), [(0, "area"), (4, "cleverly")])
def test_a_size_of_zero_and_an_unknown_method_are_refused(width: int, method: str) -> None:
    with pytest.raises(ValueError, match=r"greater than 0|upscale_method must be one of"):
        upscale(picture(4, 4, 3), width, 4, method, "disabled")
