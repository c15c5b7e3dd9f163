"""Keeps the stack's panel up to date: reads the outputs, and asks every container how it is."""

import asyncio
import time

import httpx
from pydantic import Field

from services.admin.board import Board
from services.admin.panels import Panel
from services.admin.queue_client import QueueClient
from services.admin.stack import StackFile, containers_of
from services.domain.errors import Unavailable
from services.domain.names import Role
from services.domain.stack_outputs import ContainerOutput, StackOutputs
from services.kit.logs import get_logger

log = get_logger(__name__)

PROBES_AT_ONCE = 16
PROBE_TIMEOUT_SECONDS = 3.0


class ContainerRow(Panel):
    """A container with its health: healthy, unhealthy (it answers something else), silent, or unknown (not asked)."""

    name: str
    role: str
    host: str
    image: str
    memory_mb: int
    cpus: float
    health: str
    since: int | None


class HostRow(Panel):
    """A machine, or a serverless deployment; of `containers` that can be asked, `silent` are not well."""

    name: str
    role: str
    provider: str
    machine_type: str
    location: str
    address: str
    tailnet_address: str
    price_per_hour: float | None
    containers: int
    silent: int


class LinkRow(Panel):
    """An address to go on to."""

    title: str
    url: str


class StackPanel(Panel):
    """All of it; `problem` says why something is missing."""

    problem: str | None
    title: str = ""
    hosts: list[HostRow] = Field(default_factory=list)
    containers: list[ContainerRow] = Field(default_factory=list)
    links: list[LinkRow] = Field(default_factory=list)


class StackWatch:
    """One watch over one stack."""

    def __init__(self, file: StackFile, queue: QueueClient, board: Board, probe_seconds: float) -> None:
        self._file = file
        self._queue = queue
        self._board = board
        self._seconds = probe_seconds
        self._health: dict[str, tuple[str, int]] = {}
        self._participants: list[str] = []
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_SECONDS, trust_env=False) as http:
            while True:
                try:
                    await self._look(http)
                except Exception:
                    log.exception("the stack could not be looked at; it is tried again")
                await asyncio.sleep(self._seconds)

    async def _look(self, http: httpx.AsyncClient) -> None:
        self._file.refresh()
        outputs = self._file.outputs
        if outputs is None:
            self._board.put("stack", StackPanel(problem=self._file.problem))
            return
        try:
            people = await self._queue.get("/api/credentials")
            self._participants = [one["name"] for one in people if one["role"] == Role.PARTICIPANT]
        except Unavailable:
            pass  # those from before are asked; the page says that the queue manager does not answer
        containers = containers_of(outputs, self._participants)
        answers = await asyncio.gather(*(self._probe(http, container) for container in containers))
        now = int(time.time() * 1000)
        known, self._health = self._health, {}
        for container, health in zip(containers, answers, strict=True):
            before = known.get(container.name)
            self._health[container.name] = before if before is not None and before[0] == health else (health, now)
        self._board.put("stack", self._panel(outputs, containers))

    async def _probe(self, http: httpx.AsyncClient, container: ContainerOutput) -> str:
        if container.health_url is None:
            return "unknown"
        async with self._slots:
            try:
                answer = await http.get(container.health_url)
            except (httpx.HTTPError, httpx.InvalidURL):
                return "silent"
        return "healthy" if answer.status_code == 200 else "unhealthy"

    def _panel(self, outputs: StackOutputs, containers: list[ContainerOutput]) -> StackPanel:
        rows = []
        for one in containers:
            health, since = self._health[one.name]
            rows.append(
                ContainerRow(
                    **one.model_dump(exclude={"health_url"}),
                    health=health,
                    since=since if one.health_url is not None else None,
                )
            )
        hosts = [_host_row(**host.model_dump(), rows=rows) for host in outputs.hosts]
        hosts += [
            HostRow(
                name=one.name, role="serverless", provider="verda", machine_type=one.compute, location="",
                address=one.endpoint, tailnet_address="", price_per_hour=None, containers=0, silent=0,
            )
            for one in outputs.deployments
        ]  # fmt: skip
        links = [LinkRow(title="The workshop", url=outputs.public_url)]
        links += [LinkRow(title=link.title, url=link.url) for link in outputs.links]
        title = f"{outputs.project} · {outputs.stack}"
        return StackPanel(problem=self._file.problem, title=title, hosts=hosts, containers=rows, links=links)


def _host_row(rows: list[ContainerRow], **facts: object) -> HostRow:
    own = [row for row in rows if row.host == facts["name"] and row.health != "unknown"]
    silent = sum(row.health != "healthy" for row in own)
    return HostRow.model_validate({**facts, "containers": len(own), "silent": silent})
