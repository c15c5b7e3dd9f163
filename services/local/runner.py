"""Runs the workshop: starts each stage when the one before is ready, restarts what dies, stops all in reverse order.

A part that dies is started again, because the queue outlives every part and a class should not stand still for one of
them; a part that dies again and again stops the workshop, because then somebody has to look.
"""

import contextlib
import datetime
import itertools
import os
import queue
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from types import FrameType

from honcho.printer import Message, Printer

from services.domain.errors import WorkshopError
from services.local.folder import WorkshopFolder
from services.local.part_process import PartProcess
from services.local.parts import DOOR, Part
from services.local.probes import Probes
from services.local.running import Running, RunningProcess, write_running
from services.local.settings import WorkshopSettings

PROBE_SECONDS = 0.2
"""Between two questions whether a starting part is ready."""

STARTING_AT_ONCE = (os.cpu_count() or 1) + 2
"""Parts that start at the same time. All twenty web UIs at once are ready no sooner, and the first much later."""

MAX_DEATHS = 5
DEATHS_WITHIN_SECONDS = 60.0
"""A part that dies more often than this stops the workshop."""

RESTART_PAUSE_SECONDS = 1.0

PEOPLE_SECONDS = 1.0
"""Between two looks at the list of people, who come and go while the workshop runs."""

RUNNER = "workshop"


class PartFailed(WorkshopError):
    """A part cannot be kept running; the message says which and where its log is."""

    code = "part_failed"


class Runner:
    """One run of the workshop, from `up` until everything has stopped."""

    def __init__(self, settings: WorkshopSettings, folder: WorkshopFolder, prepare: Callable[[], list[Part]]) -> None:
        """`prepare` makes what the parts find when they start, and names them; it may be asked again."""
        self._settings = settings
        self._folder = folder
        self._prepare = prepare
        parts = prepare()
        self._people_since = self._people_changed()
        # SimpleQueue, because a signal handler puts into it: a Queue could be locked by the very code it interrupts.
        self._events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._parts = [PartProcess(part, folder.logs, self._events) for part in parts]
        self._by_name = {one.part.name: one for one in self._parts}
        self._probes = Probes(settings, folder)
        self._deaths: dict[str, deque[float]] = {part.name: deque(maxlen=MAX_DEATHS) for part in parts}
        self._unready: dict[str, float] = {}  # name -> when patience ends, on the monotonic clock
        self._asked: dict[str, float] = {}
        self._were_ready: set[str] = set()
        self._stop_signals = 0
        self._printer = Printer(sys.stdout, width=max(len(name) for name in (*self._by_name, RUNNER)))

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for the end."""
        return self._stop_signals > 0

    def listen_to_signals(self) -> None:
        """Let Ctrl-C and SIGTERM end the workshop in order, and a second one at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signals += 1
        self._events.put(None)

    def start(self) -> None:
        """Start stage after stage; returns early when somebody asked for the end. Raises PartFailed."""
        for _stage, together in itertools.groupby(self._parts, lambda one: one.part.stage):
            if self.stopping:
                return
            for process in together:
                while len(self._unready) >= STARTING_AT_ONCE and not self.stopping:
                    self._step(PROBE_SECONDS)
                if not self.stopping:
                    self._start_one(process)
            while self._unready and not self.stopping:
                self._step(PROBE_SECONDS)

    def watch(self) -> None:
        """Return when somebody asked for the end; restarts parts meanwhile. Raises PartFailed."""
        while not self.stopping:
            self._step(PROBE_SECONDS if self._unready else PEOPLE_SECONDS)
            if (changed := self._people_changed()) != self._people_since:
                self._people_since = changed
                self._follow_people()

    def stop(self) -> None:
        """Stop stage after stage, the last one first, and wait for each."""
        for _stage, together in itertools.groupby(reversed(self._parts), lambda one: one.part.stage):
            self._stop_together([process for process in together if process.running])
        write_running(self._folder, Running(url=self._settings.url))

    def say(self, sentence: str, name: str = RUNNER) -> None:
        """Print a sentence about a part, in honcho's form."""
        with contextlib.suppress(OSError):  # the terminal may be gone; the parts must still be stopped in order
            self._printer.write(Message("line", sentence, datetime.datetime.now(), name, None))

    def _people_changed(self) -> int:
        """When the list of credentials was last written."""
        with contextlib.suppress(OSError):
            return self._folder.credentials.stat().st_mtime_ns
        return 0

    def _follow_people(self) -> None:
        """Somebody was added, removed or given a new credential: start and stop web UIs, and let the others be."""
        try:
            wanted = {part.name: part for part in self._prepare()}
        except (WorkshopError, subprocess.SubprocessError, OSError) as error:
            self.say(f"the list of people could not be followed: {error}")
            return
        gone = [self._by_name[name] for name in self._by_name if name not in wanted]
        self._stop_together([process for process in gone if process.running])
        for process in gone:
            self._parts.remove(process)
            del self._by_name[process.part.name]
            self._unready.pop(process.part.name, None)
        self._record()
        for place, (name, part) in enumerate(wanted.items()):
            if name not in self._by_name:
                process = PartProcess(part, self._folder.logs, self._events)
                self._parts.insert(place, process)
                self._by_name[name] = process
                self._deaths[name] = deque(maxlen=MAX_DEATHS)
                self._start_one(process)
        if (door := self._by_name.get(DOOR)) is not None:
            door.reload()

    def _take_events(self, seconds: float | None) -> None:
        """Hand over what honcho reported; waits up to `seconds` for the first message, None for ever."""
        try:
            message = self._events.get(timeout=seconds)
            while True:
                if message is not None and message.name in self._by_name:
                    self._by_name[message.name].take(message)
                    if message.type == "start":
                        self._record()
                message = self._events.get_nowait()
        except queue.Empty:
            return

    def _record(self) -> None:
        seen = [RunningProcess.of(one.part.name, one.pid) for one in self._parts if one.pid and one.running]
        parts = [one for one in seen if one is not None]
        write_running(self._folder, Running(url=self._settings.url, runner=this_process(), parts=parts))

    def _step(self, seconds: float | None) -> None:
        """Wait up to `seconds` for something to happen, then look after every part that was started."""
        self._take_events(seconds)
        for process in self._parts:
            if self.stopping or not process.started_ms:
                return
            if not process.running:
                self._restart(process)
            elif process.part.name in self._unready:
                self._look_whether_ready(process)

    def _start_one(self, process: PartProcess) -> None:
        process.start()
        self._unready[process.part.name] = time.monotonic() + self._settings.start_seconds

    def _look_whether_ready(self, process: PartProcess) -> None:
        name = process.part.name
        if time.monotonic() < self._asked.get(name, 0.0) + PROBE_SECONDS:
            return  # its log lines wake this program, too
        self._asked[name] = time.monotonic()
        if self._probes.ready(process.part, process.started_ms):
            del self._unready[name]
            self._were_ready.add(name)
            self.say(f"ready: {process.part.place}", name)
        elif time.monotonic() > self._unready[name]:
            raise self._failed(process, f"was not ready within {self._settings.start_seconds:.0f} s")

    def _restart(self, process: PartProcess) -> None:
        """Start a dead part again; raises PartFailed for one that never was ready, or dies again and again."""
        if process.part.name not in self._were_ready:
            raise self._failed(process, f"ended with exit code {process.exit_code} before it was ready")
        deaths = self._deaths[process.part.name]
        deaths.append(time.monotonic())
        if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < DEATHS_WITHIN_SECONDS:
            raise self._failed(process, f"died {MAX_DEATHS} times within {DEATHS_WITHIN_SECONDS:.0f} s")
        self._show_last_lines(process)
        self.say(f"died with exit code {process.exit_code}; starting it again", process.part.name)
        self._take_events(RESTART_PAUSE_SECONDS)
        self._start_one(process)

    def _failed(self, process: PartProcess, what: str) -> PartFailed:
        self._show_last_lines(process)
        return PartFailed(
            f"The part {process.part.name} {what}. Its last lines stand above; all are in {process.log_file}."
        )

    def _show_last_lines(self, process: PartProcess) -> None:
        for line in process.last_lines:
            self.say(line, process.part.name)

    def _stop_together(self, processes: list[PartProcess]) -> None:
        begun, told = time.monotonic(), self._stop_signals
        for process in processes:
            self.say("stopping", process.part.name)
            while process.running and process.pid is None:
                self._take_events(1.0)
            process.terminate()
        while running := [process for process in processes if process.running]:
            for process in running:
                impatient = self._stop_signals > max(told, 1)
                if impatient or time.monotonic() > begun + process.part.stop_seconds:
                    self.say("did not stop in time; ending it at once", process.part.name)
                    process.kill()
            self._take_events(1.0)
        for process in processes:
            self.say("stopped", process.part.name)


def this_process() -> RunningProcess | None:
    """Return the record of the program that runs the workshop."""
    return RunningProcess.of(RUNNER, os.getpid())
