"""Asks torch about the GPU, in a process of its own.

The only place that imports torch, and only when it is called: torch is not installed everywhere, and a process that
has asked for the free memory keeps some 0.5 GB of it for its own context. So the question is put to a short-lived
child (`python gpu.py` prints one JSON object), run with the interpreter that has torch. Uses the standard library
only, because that interpreter need not have the worker's packages.
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass

_PROBE_SECONDS = 300.0
"""The first import of torch from a cold disk takes a minute and more; whoever gives up early runs without the GPU."""


@dataclass(frozen=True)
class GpuReading:
    """What torch said; where `available` is false, `reason` says why. Memory in bytes."""

    available: bool
    reason: str = ""
    name: str = ""
    free: int = 0
    total: int = 0


def read_gpu() -> GpuReading:
    """Import torch and read the first GPU's memory."""
    try:
        import torch
    except ImportError:
        return GpuReading(False, "torch is not installed in this interpreter")
    if not torch.cuda.is_available():
        return GpuReading(False, f"torch {torch.__version__} finds no CUDA GPU")
    free, total = torch.cuda.mem_get_info()
    return GpuReading(True, name=str(torch.cuda.get_device_name()), free=int(free), total=int(total))


async def probe_gpu(python: str = sys.executable) -> GpuReading:
    """Run `read_gpu` with the given interpreter and return what it found; never raises."""
    try:
        child = await asyncio.create_subprocess_exec(
            python, __file__, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        return GpuReading(False, f"the interpreter {python} does not start: {error.strerror}")
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            output, _ = await child.communicate()
        return GpuReading(**json.loads(output))
    except TimeoutError:
        return GpuReading(False, f"torch did not answer within {_PROBE_SECONDS:g} s")
    except (ValueError, TypeError):
        return GpuReading(False, f"asking torch ended with status {child.returncode}")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


if __name__ == "__main__":
    print(json.dumps(asdict(read_gpu())))
