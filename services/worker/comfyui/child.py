"""Starts a program so that it ends with the worker: `python child.py <parent pid> program arguments...`.

A worker that is killed with SIGKILL cannot stop its ComfyUI; without this the orphan would go on holding the GPU's
memory and its port. Linux kills the child for us when asked to beforehand; elsewhere the program is started all the
same.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask for SIGKILL at the parent's death, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606  (the worker names the program)


if __name__ == "__main__":
    main()
