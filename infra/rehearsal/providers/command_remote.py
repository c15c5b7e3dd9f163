"""Commands and files on other machines, over SSH, as `command:remote` does it.

A host that does not answer is dialled again, as often as `dialErrorLimit` says. One that answers with another host key
or refuses the key is not: the real provider would try those as often, to the same end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh

from infra.rehearsal.providers.command_local import failed
from infra.rehearsal.providers.values import Properties, ProviderFailure

DIAL_ERRORS = 10
DIAL_SECONDS = 15.0
LONGEST_PAUSE = 5.0
ACCEPTED = re.compile(r"LANG|LC_.*")
"""Variables that Debian's sshd takes (`AcceptEnv`)."""


def run_there(inputs: Properties, command: str, seconds: float) -> tuple[str, str]:
    """Run one command; gives stdout and stderr without their last newline. Raises ProviderFailure."""
    refused = [name for name in inputs.get("environment") or {} if not ACCEPTED.fullmatch(name)]
    if refused:
        raise ProviderFailure(f"could not set environment variable {refused[0]!r}: ssh: setenv failed")
    try:
        return asyncio.run(asyncio.wait_for(_run(inputs, command), seconds or None))
    except TimeoutError:
        raise ProviderFailure(f"the command did not end within {seconds:.0f} s") from None


def copy_to(inputs: Properties) -> None:
    """Put an asset or an archive's folder where `remotePath` says. Raises ProviderFailure."""
    asyncio.run(_copy(inputs))


async def _run(inputs: Properties, command: str) -> tuple[str, str]:
    async with _connected(inputs["connection"]) as connection:
        try:
            process = await connection.create_process(command, env=inputs.get("environment") or {})
            # A command that reads nothing may have ended before anything is written to it.
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(inputs.get("stdin") or "")
                process.stdin.write_eof()
            done = await process.wait()
        except asyncssh.Error as error:
            raise ProviderFailure(f"the connection was lost while the command ran: {error.reason}") from error
    stdout, stderr = str(done.stdout), str(done.stderr)
    if done.exit_status != 0:
        raise failed(done.exit_status if done.exit_status is not None else -1, command, stdout, stderr)
    return stdout.removesuffix("\n"), stderr.removesuffix("\n")


async def _copy(inputs: Properties) -> None:
    source, target = inputs["source"], inputs["remotePath"]
    async with _connected(inputs["connection"]) as connection, connection.start_sftp_client() as sftp:
        try:
            if source.get("text") is not None:
                async with sftp.open(target, "w") as file:
                    await file.write(source["text"])
                return
            for path, place in _places(str(source["path"]), target):
                await sftp.put(path, place, recurse=True)
        except (OSError, asyncssh.Error) as error:
            raise ProviderFailure(f"{target} could not be written: {error}") from error


def _places(source: str, target: str) -> list[tuple[str, str]]:
    """What goes where. A folder without a slash at its end lands inside the target, with one its content does."""
    path = Path(source)
    if not path.is_dir():
        return [(source, target)]
    entries = sorted(path.iterdir()) if source.endswith("/") else [path]
    return [(str(entry), f"{target.rstrip('/')}/{entry.name}") for entry in entries]


@asynccontextmanager
async def _connected(connection: Mapping[str, Any]) -> AsyncIterator[asyncssh.SSHClientConnection]:
    opened = await _dial(connection)
    try:
        yield opened
    finally:
        opened.close()
        await opened.wait_closed()


async def _dial(connection: Mapping[str, Any]) -> asyncssh.SSHClientConnection:
    if connection.get("proxy"):
        raise ProviderFailure('the stand-in for command knows no "connection.proxy" yet')
    host, port = str(connection["host"]), int(connection.get("port") or 22)
    options = _options(connection)
    limit = int(connection.get("dialErrorLimit") or DIAL_ERRORS)
    attempt = 0
    while True:
        attempt += 1
        try:
            return await asyncssh.connect(host, port, **options)
        except (OSError, asyncssh.ConnectionLost, TimeoutError) as error:
            if limit != -1 and attempt >= limit:
                words = getattr(error, "reason", "") or getattr(error, "strerror", "") or type(error).__name__
                raise ProviderFailure(f"after {attempt} failed attempts: dial tcp {host}:{port}: {words}") from error
            await asyncio.sleep(min(0.5 * 1.5**attempt, LONGEST_PAUSE))
        except asyncssh.HostKeyNotVerifiable as error:
            raise ProviderFailure(f"ssh: handshake failed with {host}: the host key is not the expected one") from error
        except asyncssh.Error as error:
            raise ProviderFailure(f"ssh: handshake failed with {host}: {error.reason}") from error


def _options(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing of this machine's own SSH set-up takes part."""
    try:
        known = (
            asyncssh.import_known_hosts(f"* {connection['hostKey'].strip()}\n") if connection.get("hostKey") else None
        )
        keys = (
            [asyncssh.import_private_key(connection["privateKey"], connection.get("privateKeyPassword"))]
            if connection.get("privateKey")
            else None
        )
    except (ValueError, asyncssh.KeyImportError) as error:
        raise ProviderFailure('"connection.privateKey" or "connection.hostKey" cannot be read as a key') from error
    return {
        "username": connection.get("user") or "root",
        "client_keys": keys,
        "password": connection.get("password"),
        "known_hosts": known,
        "agent_path": None,
        "config": None,
        "connect_timeout": float(connection.get("perDialTimeout", DIAL_SECONDS)) or None,
    }
