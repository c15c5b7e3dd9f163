"""Kill the engine as a power cut would: at once, in the middle of what it does."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psutil

T = TypeVar("T")


@contextmanager
def in_background(act: Callable[[], T]) -> Iterator["Future[T]"]:
    """Run something beside the test, and wait for its end."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(act)


def kill_engine() -> list[psutil.Process]:
    """SIGKILL to every `pulumi` that this process started; returns the plugins that they had started."""
    engines = [child for child in psutil.Process().children() if child.name() == "pulumi"]
    assert engines, "no engine runs"
    plugins = [plugin for engine in engines for plugin in engine.children(recursive=True)]
    for engine in engines:
        engine.kill()
    return plugins


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended."""
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
