"""The rule that keeps a job from running a GPU out of memory. Pure: who measures and who unloads is the worker's
business.

All amounts are bytes. What a job needs is taken to be its largest single model file: ComfyUI keeps one model on the
GPU while it computes and moves others out when room is short, so the sum of all files would refuse workflows that run
well.
"""

from collections.abc import Iterable
from enum import StrEnum

GIBIBYTE = 1 << 30
RESERVE = 2 * GIBIBYTE
"""Room for activations and everybody else on the GPU (product requirement, section 4)."""


class Verdict(StrEnum):
    """What to do with a job before it is submitted."""

    FITS = "fits"
    UNLOAD_FIRST = "unload_first"
    TOO_LARGE = "too_large"


def needed(file_sizes: Iterable[int | None]) -> int | None:
    """The memory a job needs, from the sizes of the model files it names; None when no size is known."""
    known = [size for size in file_sizes if size is not None]
    return max(known) if known else None


def judge(need: int | None, free: int, total: int, reserve: int = RESERVE) -> Verdict:
    """Compare `need` and the reserve with the GPU's memory. An unknown need is let through: refusing it would be a
    guess.
    """
    if need is None or need + reserve <= free:
        return Verdict.FITS
    return Verdict.UNLOAD_FIRST if need + reserve <= total else Verdict.TOO_LARGE


def in_words(amount: int) -> str:
    """An amount for a sentence: 17.4 GiB."""
    return f"{amount / GIBIBYTE:.1f} GiB"
