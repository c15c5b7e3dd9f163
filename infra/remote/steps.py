"""A step on a machine: one shell text, its undo, and which secret it reads. Who runs it is the components' business."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One `ensure_` step: after `shell` ran, something holds on the machine, whatever was there before.

    `shell` is complete POSIX shell text, safe to run again; its last line says what it found or did. `undo` is one
    sentence or command for a person and stands in `infra/README.md` too. `stdin_secret` names the secret that has to be
    piped into the step, or is None; the text itself never holds a secret.
    """

    name: str
    shell: str
    undo: str
    stdin_secret: str | None = None
