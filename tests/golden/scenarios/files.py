"""Files up and down: /upload and /view, with what they refuse."""

import json

from PIL import Image

from tests.golden.driver import Session
from tests.golden.scenarios.catalogue import drawn, encoded, scenario

TRANSPARENT = encoded(drawn(20, 12, alpha=True, seed=30))


@scenario
async def uploads(session: Session) -> None:
    """Same content is used again, other content gets another name, overwrite replaces."""
    first, second = encoded(drawn(8, 8, seed=31)), encoded(drawn(8, 8, seed=32))
    await session.upload("golden-up.png", first, overwrite="true")
    await session.upload("golden-up.png", first)
    await session.upload("golden-up (1).png", second, overwrite="1")
    await session.upload("golden-up.png", second)
    await session.upload("golden-up.png", second, overwrite="true")
    await session.upload("golden-up.png", first, subfolder="golden/a", overwrite="true")
    await session.upload("golden-up.png", first, type="temp", overwrite="true")
    await session.get("/view?filename=golden-up.png&type=input")
    await session.get("/view?filename=golden-up.png&type=input&subfolder=golden/a")
    await session.get("/view?filename=golden-up.png&type=temp")


@scenario
async def uploads_refused(session: Session) -> None:
    """Names that lead out of the folder, and no file at all."""
    content = encoded(drawn(4, 4))
    await session.upload("golden-escape.png", content, subfolder="../outside")
    await session.upload("golden-escape.png", content, subfolder="/outside")
    await session.upload("../golden-escape.png", content)
    await session.upload("golden.png", content, field_name="picture")
    await session.get("/view?filename=golden-escape.png&type=input")


@scenario
async def upload_mask(session: Session) -> None:
    """The mask's alpha goes into a copy of the original."""
    mask = Image.new("RGBA", (20, 12), (0, 0, 0, 90))
    await session.upload("golden-original.png", TRANSPARENT, overwrite="true")
    original = {"filename": "golden-original.png", "subfolder": "", "type": "input"}
    await session.upload(
        "golden-masked.png", encoded(mask), to="/upload/mask", overwrite="true", original_ref=json.dumps(original)
    )
    await session.get("/view?filename=golden-masked.png&type=input")


@scenario
async def view_kinds(session: Session) -> None:
    """The same picture whole, as preview, by channel, in part."""
    await session.upload("golden-view.png", TRANSPARENT, overwrite="true")
    name = "/view?filename=golden-view.png&type=input"
    await session.get(name)
    await session.get("/api" + name)
    await session.get("/view?filename=golden-view.png%20%5Binput%5D")
    for more in ("preview=webp", "preview=webp;50", "preview=jpeg;80", "preview=gif", "preview=jpeg;80&channel=a"):
        await session.get(f"{name}&{more}")
    for channel in ("rgb", "a", "rgba", "other"):
        await session.get(f"{name}&channel={channel}")
    await session.get(name, headers={"Range": "bytes=0-15"})
    await session.get(name, headers={"Range": "bytes=999999-"})


@scenario
async def view_refused(session: Session) -> None:
    """Names that lead out of the folders, and what is not there."""
    for query in (
        "",
        "filename=",
        "filename=../golden.png",
        "filename=/etc/hostname",
        "filename=golden..png",
        "filename=missing.png",
        "filename=missing.png&type=models",
        "filename=missing.png&subfolder=..",
        "filename=missing.png&subfolder=../input",
        "filename=missing.png&subfolder=/etc",
        "filename=missing.png&subfolder=no/such",
        "filename=.",
    ):
        await session.get(f"/view?{query}")


@scenario
async def view_active_content(session: Session) -> None:
    """What could run a script in the page is sent as a download."""
    for name in ("page.html", "drawing.svg", "script.js", "style.css", "data.xml", "notes.txt", "data.json", "odd.xyz"):
        await session.upload(f"golden-{name}", b"<svg xmlns='http://www.w3.org/2000/svg'/>", overwrite="true")
        await session.get(f"/view?filename=golden-{name}&type=input")
    await session.get("/view?filename=golden-drawing.svg&type=input", headers={"Sec-Fetch-Dest": "image"})
