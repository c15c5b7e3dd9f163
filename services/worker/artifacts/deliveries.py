"""The uploads of one job: each file once, and as soon as a message names it.

A file is with the queue manager before the message `executed` that names it is relayed, so that whoever watches can be
shown the picture while the job goes on. What could not be had early is tried again at the end, where it counts.
"""

from collections.abc import Mapping
from typing import Any

from services.domain.errors import LeaseLost, WorkshopError
from services.domain.job import Lease
from services.kit.logs import get_logger
from services.worker.artifacts.outputs import (
    EngineBroke,
    OutputDamaged,
    OutputMissing,
    deliver_outputs,
    find_outputs,
)
from services.worker.comfyui.client import ComfyUIClient, FileName
from services.worker.comfyui.messages import NameMap
from services.worker.queue_client import QueueClient

_log = get_logger(__name__)


class Deliveries:
    """Knows what of a job is uploaded already."""

    def __init__(self, queue: QueueClient, lease: Lease, comfyui: ComfyUIClient, names: NameMap) -> None:
        self._queue = queue
        self._lease = lease
        self._comfyui = comfyui
        self._names = names
        self._announced: dict[str, Any] = {}
        self.delivered: list[FileName] = []

    def announce(self, node_id: str, output: Any) -> None:
        """Note the UI output of a node, as ComfyUI's message `executed` has it."""
        self._announced[node_id] = output

    async def catch_up(self) -> None:
        """Upload what was announced; raises LeaseLost only, and leaves everything else to `finish`."""
        announced, self._announced = self._announced, {}
        try:
            await self._deliver(announced)
        except LeaseLost:
            raise
        except (OutputMissing, OutputDamaged, EngineBroke, WorkshopError) as error:
            _log.info("a file could not be delivered early", job=self._lease.job_id, error=str(error))

    async def finish(self, outputs: Mapping[str, Any]) -> None:
        """Upload the rest of a job's outputs; raises what `deliver_outputs` raises."""
        await self._deliver(outputs)

    async def _deliver(self, outputs: Mapping[str, Any]) -> None:
        for source in find_outputs(outputs, self._names):
            if source.source not in self.delivered:
                await deliver_outputs(self._queue, self._lease, self._comfyui, [source])
                self.delivered.append(source.source)
