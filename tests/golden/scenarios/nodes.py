"""The image nodes, one graph each: what they make must be the same pixels on every server.

In every graph node "p" loads a small picture, "q" a square one with transparency; node "s" saves what node "o" makes.
"""

from typing import Any

from PIL import Image

from tests.golden.driver import Graph, Session
from tests.golden.scenarios.catalogue import SCENARIOS, Scenario, colour_of, drawn, encoded, node, scenario

PICTURE = encoded(drawn())
SQUARE = encoded(drawn(24, 24, alpha=True, seed=2))
P, Q, Q_MASK = ["p", 0], ["q", 0], ["q", 1]
SCALINGS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
BLENDS = ("normal", "multiply", "screen", "overlay", "soft_light", "difference")


def scale(method: str, width: int, height: int, crop: str = "disabled") -> dict[str, Any]:
    """ImageScale of the picture."""
    return node("ImageScale", image=P, upscale_method=method, width=width, height=height, crop=crop)


GRAPHS: dict[str, Graph] = {
    **{f"scale_up_{method}": {"o": scale(method, 57, 43)} for method in SCALINGS},
    **{f"scale_down_{method}": {"o": scale(method, 19, 12)} for method in SCALINGS},
    "scale_crop_wide": {"o": scale("lanczos", 40, 10, "center")},
    "scale_crop_tall": {"o": scale("nearest-exact", 10, 28, "center")},
    "scale_keep_width": {"o": scale("lanczos", 0, 14)},
    "scale_keep_height": {"o": scale("lanczos", 20, 0)},
    "scale_not": {"o": scale("area", 0, 0)},
    "scale_by": {"o": node("ImageScaleBy", image=P, upscale_method="lanczos", scale_by=0.75)},
    "scale_megapixels": {
        "o": node("ImageScaleToTotalPixels", image=P, upscale_method="lanczos", megapixels=0.01, resolution_steps=8)
    },
    "scale_max_dimension": {"o": node("ImageScaleToMaxDimension", image=P, upscale_method="lanczos", largest_size=30)},
    "invert": {"o": node("ImageInvert", image=P)},
    "invert_transparent": {"o": node("ImageInvert", image=Q)},
    "batch_of_two_sizes": {"o": node("ImageBatch", image1=Q, image2=P)},
    "crop": {"o": node("ImageCrop", image=P, width=17, height=9, x=5, y=7)},
    "crop_over_the_edge": {"o": node("ImageCrop", image=P, width=100, height=100, x=30, y=20)},
    "pad_for_outpaint": {"o": node("ImagePadForOutpaint", image=P, left=8, top=4, right=0, bottom=8, feathering=6)},
    "pad_mask": {
        "x": node("ImagePadForOutpaint", image=P, left=8, top=4, right=0, bottom=8, feathering=6),
        "o": node("MaskToImage", mask=["x", 1]),
    },
    **{
        f"blend_{mode}": {"o": node("ImageBlend", image1=P, image2=["i", 0], blend_factor=0.3, blend_mode=mode)}
        | {"i": node("ImageFlip", image=P, flip_method="x-axis: vertically")}
        for mode in BLENDS
    },
    "blend_other_size": {"o": node("ImageBlend", image1=P, image2=Q, blend_factor=0.5, blend_mode="normal")},
    "blur": {"o": node("ImageBlur", image=P, blur_radius=3, sigma=1.5)},
    "sharpen": {"o": node("ImageSharpen", image=P, sharpen_radius=2, sigma=1.0, alpha=0.8)},
    "quantize": {"o": node("ImageQuantize", image=P, colors=8, dither="none")},
    "quantize_dithered": {"o": node("ImageQuantize", image=P, colors=8, dither="floyd-steinberg")},
    "flip_across": {"o": node("ImageFlip", image=P, flip_method="y-axis: horizontally")},
    "rotate_90": {"o": node("ImageRotate", image=P, rotation="90 degrees")},
    "rotate_180": {"o": node("ImageRotate", image=P, rotation="180 degrees")},
    "repeat": {"o": node("RepeatImageBatch", image=Q, amount=2)},
    "from_batch": {
        "r": node("ImageBatch", image1=P, image2=["n", 0]),
        "n": node("ImageInvert", image=P),
        "o": node("ImageFromBatch", image=["r", 0], batch_index=1, length=1),
    },
    "stitch": {
        "o": node(
            "ImageStitch",
            image1=P,
            image2=Q,
            direction="right",
            match_image_size=True,
            spacing_width=2,
            spacing_color="red",
        )
    },
    "composite": {
        "o": node("ImageCompositeMasked", destination=P, source=Q, x=6, y=3, resize_source=False, mask=["m", 0])
    }
    | {"m": node("InvertMask", mask=Q_MASK)},
    "join_alpha": {"o": node("JoinImageWithAlpha", image=Q, alpha=Q_MASK)},
    "split_alpha": {
        "j": node("JoinImageWithAlpha", image=Q, alpha=Q_MASK),
        "x": node("SplitImageWithAlpha", image=["j", 0]),
        "o": node("MaskToImage", mask=["x", 1]),
    },
    "mask_of_transparency": {"o": node("MaskToImage", mask=Q_MASK)},
    "mask_of_opaque": {"o": node("MaskToImage", mask=["p", 1])},
    "mask_inverted": {"x": node("InvertMask", mask=Q_MASK), "o": node("MaskToImage", mask=["x", 0])},
    "mask_solid": {"x": node("SolidMask", value=0.3, width=9, height=5), "o": node("MaskToImage", mask=["x", 0])},
    "mask_of_channel": {"x": node("ImageToMask", image=P, channel="green"), "o": node("MaskToImage", mask=["x", 0])},
    "mask_of_colour": {"x": node("ImageColorToMask", image=P, color=0xE6E6E6), "o": node("MaskToImage", mask=["x", 0])},
    "mask_cropped": {
        "x": node("CropMask", mask=Q_MASK, x=3, y=5, width=9, height=8),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "mask_composite": {
        "b": node("SolidMask", value=0.6, width=10, height=10),
        "x": node("MaskComposite", destination=Q_MASK, source=["b", 0], x=7, y=7, operation="multiply"),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "mask_grown": {
        "x": node("GrowMask", mask=Q_MASK, expand=2, tapered_corners=True),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "mask_feathered": {
        "b": node("SolidMask", value=1.0, width=20, height=12),
        "x": node("FeatherMask", mask=["b", 0], left=4, top=3, right=0, bottom=2),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "mask_threshold": {
        "x": node("ThresholdMask", mask=Q_MASK, value=0.5),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "load_mask_alpha": {
        "x": node("LoadImageMask", image="golden-load_mask_alpha-q.png", channel="alpha"),
        "o": node("MaskToImage", mask=["x", 0]),
    },
    "load_mask_red": {
        "x": node("LoadImageMask", image="golden-load_mask_red-p.png", channel="red"),
        "o": node("MaskToImage", mask=["x", 0]),
    },
}
"""Name -> the nodes between the loading ones and the saving one; node "o" makes the picture."""


async def run_graph(session: Session, graph: Graph) -> None:
    """Save output 0 of node "o" and record the pictures."""
    viewer = await session.viewer()
    await session.prompt(graph | {"s": node("SaveImage", images=["o", 0], filename_prefix=session.name)})
    await viewer.until_over(session.job())
    outputs = (await session.look(f"/history/{session.job()}"))[session.job()]["outputs"]
    for image in outputs.get("s", {}).get("images", []):
        await session.get(f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}")


def _graph(name: str) -> Scenario:
    async def play(session: Session) -> None:
        inner = GRAPHS[name]
        for key, content in (("p", PICTURE), ("q", SQUARE)):
            file = f"golden-{name}-{key}.png"  # a name of its own: nothing is answered from the cache
            if f"['{key}', " in repr(inner) or file in repr(inner):
                await session.upload(file, content, overwrite="true")
            if f"['{key}', " in repr(inner):
                inner = {key: node("LoadImage", image=file)} | inner
        await run_graph(session, inner)

    return play


SCENARIOS.update({f"node_{name}": _graph(name) for name in GRAPHS})


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


LOADED: dict[str, bytes] = {
    "photo.jpg": encoded(drawn(seed=3), "JPEG", quality=92, subsampling=0),
    "photo-420.jpg": encoded(drawn(seed=4), "JPEG", quality=92, subsampling=2),
    "photo-turned.jpg": encoded(drawn(seed=5), "JPEG", quality=92, subsampling=0, exif=_exif(6)),
    "photo-mirrored.jpg": encoded(drawn(seed=6), "JPEG", quality=92, subsampling=0, exif=_exif(3)),
    "grey.png": encoded(drawn(seed=7).convert("L")),
    "palette.png": encoded(drawn(seed=8).quantize(16)),
    "transparent.png": encoded(drawn(alpha=True, seed=9)),
    "one-bit.png": encoded(drawn(seed=10).convert("1")),
    "wide.webp": encoded(drawn(64, 28, seed=11), "WEBP", lossless=True),
    "lossy.webp": encoded(drawn(40, 28, seed=12), "WEBP", quality=80),
    "picture.bmp": encoded(drawn(seed=13), "BMP"),
    "picture.gif": encoded(drawn(seed=14).quantize(32), "GIF"),
    "no-picture.png": b"this is no picture",
}
"""Files of all kinds that LoadImage meets; the last one is none."""


def _loaded(name: str) -> Scenario:
    async def play(session: Session) -> None:
        file = f"golden-{name}"
        await session.upload(file, LOADED[name], overwrite="true")
        await run_graph(session, {"o": node("LoadImage", image=file)})

    return play


SCENARIOS.update({f"load_{name.replace('.', '_').replace('-', '_')}": _loaded(name) for name in LOADED})


@scenario
async def load_from_subfolder(session: Session) -> None:
    """A name with a folder, and one annotated with the folder's kind."""
    await session.upload("golden-deep.png", PICTURE, subfolder="golden/deep", overwrite="true")
    await run_graph(session, {"o": node("LoadImage", image="golden/deep/golden-deep.png [input]")})


@scenario
async def preview_image(session: Session) -> None:
    """PreviewImage writes to temp under a random name."""
    viewer = await session.viewer()
    graph = {
        "1": node("EmptyImage", width=8, height=8, batch_size=1, color=colour_of(session.name)),
        "2": node("PreviewImage", images=["1", 0]),
    }
    await session.prompt(graph)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/api/jobs/{session.job()}")


@scenario
async def changed_file_is_not_cached(session: Session) -> None:
    """The same name with other content: the loading node runs again."""
    viewer = await session.viewer()
    graph = {
        "1": node("LoadImage", image="golden-changed.png"),
        "2": node("SaveImage", images=["1", 0], filename_prefix=session.name),
    }
    for job, seed in ((1, 20), (2, 20), (3, 21)):
        await session.upload("golden-changed.png", encoded(drawn(seed=seed)), overwrite="true")
        await session.prompt(graph, job)
        await viewer.until_over(session.job(job))
