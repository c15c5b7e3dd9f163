"""Downloads one file over HTTP: resumed where it broke off, checked by hash and size, visible only when it is whole.

Knows nothing of what the file is or where the address comes from; how often to try again is the caller's decision.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import httpx

PARTIAL_SUFFIX = ".part"
_CHUNK = 1 << 20


class DownloadDamaged(Exception):
    """What arrived is not what was asked for; the partial file is gone."""


async def download_file(
    client: httpx.AsyncClient,
    url: str,
    destination: Path,
    *,
    sha256: str,
    size: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch `url` into `destination`; bytes of an earlier, broken try are not fetched again.

    Raises httpx.HTTPError when the server does not answer or refuses (the partial file stays, to be resumed) and
    DownloadDamaged when hash (hexadecimal SHA-256) or size (bytes) differ.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(destination.name + PARTIAL_SUFFIX)
    digest, have = await asyncio.to_thread(_hash_of, partial)
    if size is None or have < size:
        digest, have = await _fetch(client, url, partial, digest, have, dict(headers or {}))
    if (size is not None and have != size) or digest.hexdigest() != sha256:
        partial.unlink(missing_ok=True)
        raise DownloadDamaged(f"The file for {destination.name} arrived damaged ({have} bytes); try again.")
    partial.replace(destination)


async def _fetch(
    client: httpx.AsyncClient, url: str, partial: Path, digest: "hashlib._Hash", have: int, headers: dict[str, str]
) -> tuple["hashlib._Hash", int]:
    if have:
        headers["Range"] = f"bytes={have}-"
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.is_error:
            await answer.aread()  # so that the caller can read the refusal
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            digest, have = hashlib.sha256(), 0  # the server sends everything again
        with partial.open("ab" if have else "wb") as file:
            async for chunk in answer.aiter_bytes(_CHUNK):
                digest.update(chunk)
                have += len(chunk)
                file.write(chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
    return digest, have


def _hash_of(partial: Path) -> tuple["hashlib._Hash", int]:
    """The running hash and the size of what an earlier try left."""
    digest, have = hashlib.sha256(), 0
    if partial.exists():
        with partial.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                have += len(chunk)
    return digest, have
