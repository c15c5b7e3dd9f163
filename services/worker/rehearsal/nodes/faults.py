"""Nodes that fail on purpose, so that what follows a failure can be tested. Their names are in fault_names.py."""

import os
import threading

import numpy as np
from PIL import Image

from services.worker.rehearsal import fault_names
from services.worker.rehearsal.folders import Folders
from services.worker.rehearsal.nodes.image_files import save_pngs
from services.worker.rehearsal.nodes.registry import NEVER_SAME, NodeResult, NodeRun, node
from services.worker.rehearsal.pixels import Pixels

CRASH_STATUS = 139
CRASH_DELAY = 0.2
"""Seconds; time enough for the answer to POST /prompt to leave, so that the crash happens to a running prompt."""

PREVIEW_SIDE, PREVIEW_COLOUR = 64, (40, 80, 120)


def never_same(folders: Folders, **_: object) -> float:
    """A node that fails once should fail again, not be taken from the cache."""
    return NEVER_SAME


@node(fault_names.ERROR, fingerprint=never_same)
def raise_error(run: NodeRun, *, message: str, image: Pixels | None = None) -> NodeResult:
    """Raise RuntimeError with the given message."""
    raise RuntimeError(message)


@node(fault_names.HANG, fingerprint=never_same)
def hang(run: NodeRun, *, image: Pixels | None = None) -> NodeResult:
    """Wait for something that never comes, without looking at the interrupt flag."""
    while True:
        threading.Event().wait()


@node(fault_names.CRASH, fingerprint=never_same)
def crash(run: NodeRun, *, status: int = CRASH_STATUS, image: Pixels | None = None) -> NodeResult:
    """End the process, a moment after it has begun."""
    run.wait(CRASH_DELAY)
    os._exit(status)


@node(fault_names.LIE, fingerprint=never_same)
def lie(run: NodeRun, *, filename_prefix: str = "never_written", image: Pixels | None = None) -> NodeResult:
    """Name a file as written that is not there."""
    entry = {"filename": f"{filename_prefix}_00001_.png", "subfolder": "", "type": "output"}
    return NodeResult((image,), {"images": [entry]})


@node(fault_names.SLOW, fingerprint=never_same)
def slow(
    run: NodeRun,
    *,
    seconds: float,
    steps: int,
    image: Pixels | None = None,
    preview: bool = False,
    text: str = "",
) -> tuple[Pixels]:
    """Let time pass in steps, with progress and, if wanted, a preview in each and a text before the first."""
    if text:
        run.tell_text(text)
    shown = Image.new("RGB", (PREVIEW_SIDE, PREVIEW_SIDE), PREVIEW_COLOUR) if preview else None
    for step in range(1, steps + 1):
        run.wait(seconds / steps)
        run.report(step, steps, shown)
    return (np.zeros((1, 64, 64, 3), np.float32) if image is None else image,)


@node(fault_names.POISON, fingerprint=never_same)
def poison(run: NodeRun, *, filename_prefix: str = "poison", image: Pixels | None = None) -> NodeResult:
    """Write a file, then end the process."""
    run.wait(CRASH_DELAY)
    pixels = np.zeros((1, 8, 8, 3), np.float32) if image is None else image
    save_pngs(run, pixels, "output", filename_prefix, compress_level=1)
    os._exit(CRASH_STATUS)
