"""Bytes on a TLS connection, for what no HTTP client would send."""

import asyncio

from tests.support.wait import LIMIT_SECONDS
from tests.support.workshop_room import Workshop


async def open_line(workshop: Workshop) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the front door."""
    port, trust = workshop.configuration.https_port, workshop.door.trust
    return await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="127.0.0.1")


async def send_bytes(workshop: Workshop, sent: bytes) -> tuple[int, str]:
    """(status, whole text) of what the front door answers to these bytes; it has to close the line itself."""
    reader, writer = await open_line(workshop)
    writer.write(sent)
    await writer.drain()
    async with asyncio.timeout(LIMIT_SECONDS):
        text = (await reader.read()).decode(errors="replace")
    writer.close()
    return int(text.split(" ", 2)[1]) if text.startswith("HTTP/") else 0, text
