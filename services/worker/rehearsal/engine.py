"""Puts the parts of one engine together: folders, catalogue, queue, executor. Knows nothing of HTTP routes."""

import itertools
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.worker.rehearsal import nodes  # noqa: F401 - fills the registry
from services.worker.rehearsal.catalogue import Catalogue
from services.worker.rehearsal.executor import Executor
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.interrupt import Interrupt
from services.worker.rehearsal.models import ModelFiles
from services.worker.rehearsal.nodes.registry import Pace
from services.worker.rehearsal.prompt_queue import PromptQueue
from services.worker.rehearsal.server.sockets import Sockets
from services.worker.rehearsal.settings import RehearsalSettings
from services.worker.rehearsal.validation import Validator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engine:
    """One engine; made inside the server's event loop."""

    settings: RehearsalSettings
    folders: Folders
    models: ModelFiles
    catalogue: Catalogue
    validator: Validator
    interrupt: Interrupt
    queue: PromptQueue
    sockets: Sockets
    executor: Executor
    numbers: Iterator[int] = field(default_factory=itertools.count)
    """The numbers of the prompts to come; a prompt with a smaller number runs first."""

    def start(self) -> None:
        """Begin to run prompts, in a thread that may be left behind when the process ends (a node may hang)."""
        threading.Thread(target=self._work, name="prompts", daemon=True).start()

    def _work(self) -> None:
        while True:
            item = self.queue.take(self.interrupt.clear)
            if item is not None:
                result = self.executor.run(item)
                self.queue.finish(item, result)
                client = self.sockets.client_id
                if client is not None:
                    self.sockets.send("executing", {"node": None, "prompt_id": item.prompt_id}, client)
            flags = self.queue.take_flags()
            if flags.get("unload_models") or flags.get("free_memory"):
                self.executor.forget(results=bool(flags.get("free_memory")))


def build_engine(settings: RehearsalSettings, features: dict[str, Any]) -> Engine:
    """Make the folders and all parts."""
    folders = Folders(settings.data_dir.absolute())
    folders.prepare()
    models = ModelFiles(settings.models_dir)
    catalogue = Catalogue(folders, models, fault_nodes=settings.fault_nodes)
    interrupt = Interrupt()
    sockets = Sockets(features, lambda: queue.remaining())
    queue = PromptQueue(settings.history_length, sockets.queue_changed)
    pace = Pace(settings.step_seconds, settings.load_seconds)
    executor = Executor(catalogue, folders, sockets, interrupt, pace, previews=settings.preview_method != "none")
    return Engine(
        settings, folders, models, catalogue, Validator(catalogue, folders), interrupt, queue, sockets, executor
    )
