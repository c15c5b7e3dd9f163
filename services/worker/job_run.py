"""One job from its lease to its end: inputs in, run, files out, outcome recorded.

Responsible for the order of these steps and for what a stop or a lost lease means in each of them. How ComfyUI is
followed is `comfyui/execution.py`'s business; restarting it afterwards is the agent's, who reads `Ended`.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from services.domain.errors import LeaseLost, WorkshopError
from services.domain.node_inputs import model_signature
from services.kit.logs import get_logger
from services.worker.artifacts.deliveries import Deliveries
from services.worker.artifacts.graph import (
    NodeKind,
    PreparedGraph,
    WorkflowUnusable,
    input_folder_of,
    output_prefix,
    prepare,
)
from services.worker.artifacts.inputs import InputCache, InputUnusable, place_input
from services.worker.artifacts.outputs import EngineBroke, OutputDamaged, OutputMissing
from services.worker.comfyui.backend import Engine, EngineNotReady, remove_tree
from services.worker.comfyui.client import FileName
from services.worker.comfyui.execution import Execution, clear_leftovers, stop_prompt
from services.worker.comfyui.outcome import Cure, Failed, Outcome, Stopped, Succeeded, failure
from services.worker.heartbeat import Heartbeat
from services.worker.memory_guard import MemoryGuard
from services.worker.queue_client import LeasedJob, QueueClient
from services.worker.relay import Relay

_log = get_logger(__name__)


@dataclass
class Workplace:
    """What the jobs of one worker share."""

    queue: QueueClient
    engine: Engine
    cache: InputCache
    guard: MemoryGuard
    kinds: dict[str, NodeKind]
    loaded_model: str = ""
    """Signature of the models that the last job left in the GPU."""

    @property
    def client_prefix(self) -> str:
        """How the client ids of this worker's prompts begin."""
        return f"comfyume-{self.queue.name}-"


@dataclass(frozen=True)
class Ended:
    """How a job ended, in one word for the metrics, and what ComfyUI needs now."""

    how: str
    cure: Cure
    seconds: float


class JobRun:
    """`run` once; `stop` at any time."""

    def __init__(self, place: Workplace, leased: LeasedJob) -> None:
        self._place = place
        self._lease = leased.lease
        self._body = leased.body
        self._stop_reason: str | None = None
        self._work: asyncio.Task[Outcome] | None = None
        self._execution: Execution | None = None
        self._started = time.monotonic()
        self._result: dict[str, Any] = {}
        self._delivered: list[FileName] = []
        self._log = _log.bind(job=self._lease.job_id, attempt=self._lease.attempt)

    def stop(self, reason: str) -> None:
        """End the run: cancelled, preempted, drained or lost. A lost lease outdoes every other reason."""
        if self._stop_reason is not None and reason != "lost":
            return
        first = self._stop_reason is None
        self._stop_reason = reason
        if not first:
            return
        if self._execution is not None:
            self._execution.stop(reason)
        elif self._work is not None:
            self._work.cancel()

    async def run(self) -> Ended:
        """Carry the job to its recorded end. Raises nothing that concerns the job: every outcome is reported."""
        self._log.info("job leased", participant=self._lease.participant)
        queue, lease = self._place.queue, self._lease
        lost = lambda: self.stop("lost")  # noqa: E731
        try:
            async with Heartbeat(queue, lease, on_stop=self.stop, on_lost=lost), Relay(queue, lease, lost) as relay:
                outcome = await self._carry_out(relay)
                how = await self._report(outcome, relay)
            stopped = not isinstance(outcome, Stopped) or outcome.verified or await self._stop_for_good()
        finally:
            await asyncio.to_thread(self._tidy)
        seconds = time.monotonic() - self._started
        self._log.info("job ended", how=how, seconds=round(seconds, 3))
        return Ended(how, _cure(outcome) if stopped else Cure.RESTART, seconds)

    async def _stop_for_good(self) -> bool:
        """Wait, with the job reported already, until ComfyUI is without it; False when it has to be restarted."""
        return await stop_prompt(self._place.engine, self._lease.job_id)

    async def _carry_out(self, relay: Relay) -> Outcome:
        self._work = asyncio.create_task(self._run_in_engine(relay))
        if self._stop_reason is not None:
            self._work.cancel()
        try:
            return await self._work
        except asyncio.CancelledError:
            if self._stop_reason is None:
                raise  # the worker itself ends
            return Stopped(self._stop_reason)
        except LeaseLost:
            return Stopped("lost")
        except InputUnusable as error:
            return failure("input_unusable", error.message, retryable=False)
        except WorkflowUnusable as error:
            return failure("rejected", str(error), retryable=False)
        except (OutputMissing, OutputDamaged) as error:
            return failure("output_missing", str(error), retryable=True, cure=Cure.FREE)
        except (EngineBroke, EngineNotReady, httpx.HTTPError) as error:
            self._log.warning("ComfyUI broke off", error=repr(error))
            return failure(
                "engine_away", "ComfyUI stopped answering while the job ran.", retryable=True, cure=Cure.RESTART
            )
        except WorkshopError as error:
            return failure(error.code, error.message, retryable=True)
        except Exception as error:  # a fault of ours must not take the worker down, nor keep the job
            self._log.exception("unexpected fault")
            kind = type(error).__name__
            return failure("worker_error", f"The worker met an unexpected fault ({kind}).", retryable=True)

    async def _run_in_engine(self, relay: Relay) -> Outcome:
        graph = prepare(self._body, self._lease, self._place.kinds, f"{self._place.client_prefix}{uuid.uuid4().hex}")
        if (refused := await self._get_ready(graph)) is not None:
            return refused
        deliveries = Deliveries(self._place.queue, self._lease, self._place.engine.client, graph.names)
        self._delivered = deliveries.delivered
        relay.before_results = deliveries.catch_up
        self._execution = Execution(
            self._place.engine,
            graph,
            on_message=relay.message,
            on_frame=relay.frame,
            on_output=deliveries.announce,
        )
        began = time.monotonic()
        outcome = await self._execution.run()
        self._execution = None
        if self._stop_reason is not None and not isinstance(outcome, Stopped):
            return Stopped(self._stop_reason)  # asked for in the moment of the end
        self._place.loaded_model = model_signature(graph.models) or self._place.loaded_model
        if not isinstance(outcome, Succeeded):
            return outcome
        run_seconds = time.monotonic() - began
        await relay.flush()
        await deliveries.finish(outcome.outputs)
        self._result = {
            "executed": graph.names.back(outcome.outputs),
            "cached_nodes": outcome.cached_nodes,
            "run_seconds": round(run_seconds, 3),
            "loaded_model": self._place.loaded_model,
        }
        return outcome

    async def _get_ready(self, graph: PreparedGraph) -> Failed | Stopped | None:
        """Everything before the submit: leftovers, memory, inputs."""
        place, lease = self._place, self._lease
        if place.engine.exited is not None and place.engine.exited.done():  # between the lease and now
            await place.engine.ensure_ready()
        try:
            if lease.attempt > 1 and not await clear_leftovers(place.engine, place.client_prefix, lease.job_id):
                return failure("engine_busy", "ComfyUI still runs an earlier job.", retryable=True, cure=Cure.RESTART)
            await place.engine.client.forget(lease.job_id)  # a preempted job comes again with the same id
        except httpx.TransportError:
            return Stopped("engine_away")  # nothing of the job has begun, so it is not an attempt
        if model_signature(graph.models) != place.loaded_model and (refused := await place.guard.refuse(graph.models)):
            return refused
        for file in lease.inputs:
            content = await place.cache.fetch(place.queue, lease, file)
            await place_input(place.engine, file, content)
        return None

    # The end ------------------------------------------------------------------------------------------------

    async def _report(self, outcome: Outcome, relay: Relay) -> str:
        """Record the outcome, repeated until it is answered; says in one word what became of the job."""
        try:
            if not isinstance(outcome, Stopped):
                await relay.flush()
            return await self._record(outcome)
        except LeaseLost:
            return "lost"
        except WorkshopError as error:
            self._log.error("outcome was refused", error=error.message)
            return await self._fail_instead(error)

    async def _fail_instead(self, refusal: WorkshopError) -> str:
        """A result that the queue manager does not take (too large, say) must not leave the job running."""
        message = f"The result could not be recorded: {refusal.message}"
        try:
            return await self._record(failure("not_recorded", message, retryable=False))
        except WorkshopError:
            return "refused"

    async def _record(self, outcome: Outcome) -> str:
        queue, lease = self._place.queue, self._lease
        match outcome:
            case Succeeded():
                return await queue.complete(lease, self._result)
            case Failed():
                self._log.warning("job failed", error=outcome.error.model_dump(), retryable=outcome.retryable)
                return await queue.fail(lease, outcome.error, retryable=outcome.retryable)
            case Stopped(reason="cancelled"):
                return await queue.cancelled(lease)
            case Stopped(reason="lost"):
                return "lost"
            case Stopped():
                await queue.give_back(lease, outcome.reason)
                return outcome.reason

    def _tidy(self) -> None:
        """Remove the job's files from folders that are the worker's own."""
        engine, lease = self._place.engine, self._lease
        for folder in engine.output_folders:
            remove_tree(folder / output_prefix(lease.job_id))
            for output in self._delivered:
                if folder.name == output.type:
                    (folder / output.subfolder / output.filename).unlink(missing_ok=True)
        if engine.input_folder is not None:
            for file in lease.inputs:
                remove_tree(engine.input_folder / input_folder_of(file.sha256))
        self._place.cache.trim()


def _cure(outcome: Outcome) -> Cure:
    match outcome:
        case Failed():
            return outcome.cure
        case Stopped(reason="engine_away"):
            return Cure.RESTART
    return Cure.NONE
