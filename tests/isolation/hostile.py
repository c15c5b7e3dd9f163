"""Hostile requests of one participant, as a table: what is sent, and with which status it may be refused."""

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.isolation.people import load_and_save
from tests.support.web_ui import picture_graph


@dataclass(frozen=True)
class Hostile:
    """One request to the attacker's own web UI."""

    what: str
    method: str
    path: str
    statuses: tuple[int, ...]
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def form(filename: str, **fields: str) -> dict[str, Any]:
    """The keyword argument of an upload."""
    made = aiohttp.FormData(quote_fields=False)
    made.add_field("image", b"x", filename=filename)
    for name, value in fields.items():
        made.add_field(name, value)
    return {"data": made}


def bomb_png(side: int = 30_000) -> bytes:
    """A picture of a few hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


def graph_with(name: str) -> dict[str, Any]:
    """The keyword argument of a submit that reads this picture."""
    return {"json": {"prompt": load_and_save(name, "x")}}


def graph_of_model(name: str) -> dict[str, Any]:
    """The keyword argument of a submit that loads this model."""
    graph = picture_graph()
    graph["3"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}}
    graph["4"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["3", 1]}}
    graph["2"]["inputs"]["images"] = ["3", 0]
    return {"json": {"prompt": graph}}


DEEP = b"[" * 200_000 + b"]" * 200_000
METADATA = "http://169.254.169.254/latest/meta-data/"
TWICE = "..%252F..%252Fbob%252Fuser%252Fcomfy.settings.json"
ESCAPE = "..%2F..%2Fbob%2Fuser%2Fcomfy.settings.json"
JSON = {"Content-Type": "application/json"}

HOSTILE = [
    Hostile("node install: the manager's queue", "POST", "/api/manager/queue/install", (404,), {"json": {"id": "x"}}),
    Hostile("node install: version 2", "POST", "/api/v2/manager/queue/task", (404,), {"json": {"id": "x"}}),
    Hostile("node install: by git", "POST", "/customnode/install/git_url", (404, 405), {"data": b"https://x"}),
    Hostile("node install: by pip", "POST", "/customnode/install/pip", (404, 405), {"data": b"x"}),
    Hostile("restart of the server", "POST", "/api/manager/reboot", (404,)),
    Hostile("traversal: read", "GET", f"/userdata/{ESCAPE}", (401, 403)),
    Hostile("traversal: write", "POST", f"/userdata/{ESCAPE}", (401, 403), {"data": b"{}"}),
    Hostile("traversal: delete", "DELETE", f"/userdata/{ESCAPE}", (401, 403)),
    Hostile("traversal: move there", "POST", f"/userdata/own.json/move/{ESCAPE}", (403, 404)),
    Hostile("traversal: twice encoded", "GET", f"/userdata/{TWICE}", (403,)),
    Hostile("traversal: list", "GET", "/userdata?dir=..%2F..%2Fbob", (403,)),
    Hostile("traversal: static file", "GET", "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd", (400, 404)),
    Hostile("traversal: upload", "POST", "/upload/image", (400,), form("../bob/x.png")),
    Hostile("traversal: upload's folder", "POST", "/upload/image", (400,), form("x.png", subfolder="../bob")),
    Hostile("an address as a job's id", "GET", "/api/jobs/..%2Fevents", (404,)),
    Hostile("an address as a prompt's id", "POST", "/api/jobs/..%2F..%2Fhealthz/cancel", (200, 404)),
    Hostile("request forgery: metadata", "POST", "/api/prompt", (400,), graph_with(METADATA)),
    Hostile("request forgery: Redis", "POST", "/api/prompt", (400,), graph_with("redis://127.0.0.1:6379/0")),
    Hostile("request forgery: view", "GET", f"/view?filename={quote(METADATA, safe='')}", (400, 404)),
    Hostile("request forgery: a file address", "GET", "/view?filename=file:%2F%2F%2Fetc%2Fpasswd", (400, 404)),
    Hostile("request forgery: a proxy", "GET", f"/proxy?url={quote(METADATA, safe='')}", (404,)),
    Hostile("pickle: upload as a model", "POST", "/upload/image", (400,), form("m.ckpt", type="checkpoints")),
    Hostile("pickle: upload among the models", "POST", "/upload/image", (400,),
            form("m.ckpt", subfolder="../../models/checkpoints")),
    Hostile("pickle: an input as a model", "POST", "/api/prompt", (400,), graph_of_model("../input/m.ckpt")),
    Hostile("compressed body", "POST", "/settings", (415,), {"data": zlib.compress(bytes(10**6))},
            {"Content-Encoding": "deflate"}),
    Hostile("compressed upload", "POST", "/upload/image", (415,), form("x.png"), {"Content-Encoding": "gzip"}),
    Hostile("oversize JSON", "POST", "/settings", (413,), {"data": b" " * (65 * 2**20)}),
    Hostile("oversize workflow", "POST", "/api/prompt", (400, 413),
            {"json": {"prompt": picture_graph(), "extra_data": {"x": "x" * 9 * 2**20}}}),
    Hostile("nested JSON: prompt", "POST", "/api/prompt", (400,), {"data": b'{"prompt":' + DEEP + b"}"}, JSON),
    Hostile("nested JSON: setting", "POST", "/settings/x", (400,), {"data": DEEP}, JSON),
    Hostile("nested JSON: mask", "POST", "/upload/mask", (400, 413), form("x.png", original_ref="[" * 60_000)),
    Hostile("not a number", "POST", "/settings/x", (400,), {"data": b"NaN"}, JSON),
    Hostile("infinity", "POST", "/api/prompt", (400,), {"data": b'{"prompt": {"1": Infinity}}'}, JSON),
    Hostile("number out of range", "POST", "/api/prompt", (400,), {"data": b'{"prompt": {"1": 1e999}}'}, JSON),
    Hostile("half a character: setting", "POST", "/settings/x", (400,), {"data": b'"\\ud800"'}, JSON),
    Hostile("half a character: mask", "POST", "/upload/mask", (400,),
            form("x.png", original_ref='{"filename": "\\ud800.png", "type": "input"}')),
    Hostile("half a character: address", "GET", "/view?filename=%ED%A0%80.png&type=input", (400, 404)),
    Hostile("half a character: file", "GET", "/userdata/%ED%A0%80.json", (400, 404)),
    Hostile("null character: file", "POST", "/userdata/a%00b.json", (400,), {"data": b"{}"}),
    Hostile("null character: view", "GET", "/view?filename=a%00.png&type=input", (400,)),
    Hostile("null character: twice encoded", "GET", "/userdata/a%2500b.json", (400,)),
    Hostile("long name: file", "POST", f"/userdata/{'n' * 300}.json", (400,), {"data": b"{}"}),
    Hostile("long name: path", "POST", f"/userdata/{'%2F'.join(['n' * 250] * 15)}", (400,), {"data": b"{}"}),
    Hostile("long name: static file", "GET", f"/assets/{'n' * 4000}", (404,)),
    Hostile("long name: upload", "POST", "/upload/image", (400, 422), form("n" * 4000 + ".png")),
    Hostile("long address", "GET", f"/view?filename={'n' * 40_000}", (400, 414)),
    Hostile("giant setting", "POST", "/settings/x", (507,), {"data": json.dumps("x" * 2**21).encode()}, JSON),
    Hostile("a line feed in a header", "GET", "/view?filename=a%0d%0aSet-Cookie:%20x=y&type=input", (400, 404)),
    Hostile("endless form", "POST", "/upload/image", (400,), form("x.png", **{f"f{n}": "x" for n in range(100)})),
    Hostile("broken form", "POST", "/upload/image", (400,), {"data": b"--nothing"},
            {"Content-Type": "multipart/form-data; boundary=other"}),
    Hostile("form without boundary", "POST", "/upload/image", (400,), {"data": b"x"},
            {"Content-Type": "multipart/form-data"}),
    Hostile("from another site: a form", "POST", "/api/queue", (403,), {"data": b'{"clear": true}'},
            {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}),
    Hostile("from another site: a socket", "GET", "/ws", (403,), {}, {"Origin": "https://elsewhere.example"}),
    Hostile("an unknown method", "TRACE", "/api/prompt", (404, 405)),
    Hostile("another person", "POST", "/users", (403,), {"json": {"username": "mallory"}}),
]  # fmt: skip
