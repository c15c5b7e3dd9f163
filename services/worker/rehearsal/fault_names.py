"""The names of the nodes that fail on purpose; they exist only where REHEARSAL_FAULT_NODES is true."""

ERROR = "RehearsalError"
"""Raises: inputs `message`; outputs anything. The prompt ends with execution_error."""

HANG = "RehearsalHang"
"""Never returns and ignores /interrupt. The server goes on answering."""

CRASH = "RehearsalCrash"
"""Ends the whole process with exit status `status` (default 139, as after a segmentation fault)."""

LIE = "RehearsalLie"
"""Reports an image in `executed` that was never written; the prompt ends with execution_success."""

SLOW = "RehearsalSlow"
"""Works for `seconds`, in `steps` steps with progress, and previews with `preview`; can be interrupted."""

POISON = "RehearsalPoison"
"""Writes a file and then ends the process, every time: the job that no worker survives."""

NAMES = (ERROR, HANG, CRASH, LIE, SLOW, POISON)
"""All of them are output nodes with the inputs given above and one optional input `image`."""
