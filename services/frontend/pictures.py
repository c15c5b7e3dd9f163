"""What `/view` makes of a picture on its way to the page: a smaller preview, or one of its channels.

Reads and writes whole pictures in memory, within a bound; runs in a thread. Pillow is imported when first needed, so
that a web UI nobody looks at stays small.
"""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from services.domain.errors import InvalidInput, PayloadTooLarge

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_PICTURE_BYTES = 200 * 2**20
MAX_PIXELS = 80_000_000
"""A picture above this is not decoded: it takes 320 MB of memory from a file that may have a few kilobytes."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded at all: Pillow knows formats that start other programs, or that nobody tests any more."""

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
_one_at_a_time = Lock()
"""A flood of previews waits instead of taking that memory many times."""


def _alone(change: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    @wraps(change)
    def alone(*given: _Given.args, **named: _Given.kwargs) -> _Made:
        with _one_at_a_time:
            return change(*given, **named)

    return alone


@_alone
def preview(content: bytes, asked: str, channel: str) -> tuple[bytes, str]:
    """The picture as WebP or JPEG: `asked` is stock's `webp;90`. Gives the bytes and the content type."""
    wanted, *options = asked.split(";")
    form = wanted if wanted in ("webp", "jpeg") and "a" not in channel else "webp"
    quality = int(options[-1]) if options and options[-1].isdecimal() and len(options[-1]) <= 3 else 90
    picture = _open(content)
    if form == "jpeg" or channel == "rgb":
        picture = picture.convert("RGB")
    buffer = BytesIO()
    try:
        picture.save(buffer, format=form, quality=min(quality, 100))
    except (OSError, ValueError) as error:
        raise InvalidInput("preview: the picture does not fit into that format; ask for it as it is.") from error
    return buffer.getvalue(), f"image/{form}"


@_alone
def colours(content: bytes) -> bytes:
    """The picture without its transparency, as PNG."""
    picture = _open(content)
    if picture.mode == "RGBA":
        # The colours below transparent pixels stay as they are: the mask editor draws on them.
        red, green, blue, _ = picture.split()
        from PIL import Image

        return _png(Image.merge("RGB", (red, green, blue)))
    return _png(picture.convert("RGB"))


@_alone
def transparency(content: bytes) -> bytes:
    """The picture's transparency alone, in the alpha channel of a black picture, as PNG."""
    from PIL import Image

    picture = _open(content)
    alpha = picture.getchannel("A") if picture.mode == "RGBA" else Image.new("L", picture.size, 255)
    result = Image.new("RGBA", picture.size)
    result.putalpha(alpha)
    return _png(result)


@_alone
def with_transparency_of(original: bytes, mask: bytes) -> bytes:
    """The original picture with the mask's alpha channel, as PNG; the original's text notes are kept.

    Raises:
        InvalidInput: the mask has another size.
    """
    from PIL.PngImagePlugin import PngInfo

    picture, masked = _open(original), _open(mask).convert("RGBA")
    notes = PngInfo()
    for key, value in getattr(picture, "text", {}).items():
        notes.add_text(key, value)
    if picture.size != masked.size:
        raise InvalidInput("image: the mask has another size than the picture; draw it on the same picture.")
    result = picture.convert("RGBA")
    result.putalpha(masked.getchannel("A"))
    buffer = BytesIO()
    result.save(buffer, format="PNG", compress_level=4, pnginfo=notes)
    return buffer.getvalue()


def _open(content: bytes) -> "Picture":
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise PayloadTooLarge("image: the picture has too many pixels to be shown; scale it down first.")
        picture.load()
    except Image.DecompressionBombError as error:
        raise PayloadTooLarge("image: the picture has too many pixels to be shown; scale it down first.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidInput("image: this file is not a picture that can be read; use PNG, JPEG or WebP.") from error
    return picture


def _png(picture: "Picture") -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
