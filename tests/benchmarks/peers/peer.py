"""What a peer must be able to do to be measured, and the pipe by which its worker says "I have the job".

The worker writes the moment (monotonic clock, which is one clock for all processes of a machine) into a named pipe; the
client reads it there. So neither the way back nor a result store is part of a figure.
"""

import os
import struct
import time
from abc import ABC, abstractmethod

STAMP = struct.Struct("<q")
PIPE_VARIABLE = "BENCH_STAMP_PIPE"


class Stamps:
    """The worker's end of the pipe; opened at the first job, because some peers fork their workers."""

    _descriptor: int | None = None

    @classmethod
    def write(cls) -> None:
        """Say that a job has arrived, with the present moment in ns."""
        moment = time.monotonic_ns()
        if cls._descriptor is None:
            cls._descriptor = os.open(os.environ[PIPE_VARIABLE], os.O_WRONLY)
        os.write(cls._descriptor, STAMP.pack(moment))


class Peer(ABC):
    """One task queue with its default settings; `payload` is the workflow as opaque text, which is kind to the peer."""

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url

    @abstractmethod
    async def open(self) -> None:
        """Connect the client's side."""

    @abstractmethod
    async def enqueue(self, payload: str) -> None:
        """Hand in one job."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the client's side."""

    @abstractmethod
    def work(self) -> None:
        """Be the worker until the process is ended."""
