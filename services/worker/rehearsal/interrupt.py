"""The one flag that asks the running prompt to stop; nodes look at it between their steps."""

import threading


class InterruptedPrompt(Exception):
    """The running prompt was asked to stop."""


class Interrupt:
    """Set by the server's thread, looked at by the prompt's thread."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the running prompt to stop at its next step."""
        self._asked.set()

    def clear(self) -> None:
        """Forget an earlier request: it was meant for a prompt that has ended."""
        self._asked.clear()

    def check(self) -> None:
        """Raise InterruptedPrompt if a stop was asked for. A request is used up by being honoured."""
        if self._asked.is_set():
            self._asked.clear()
            raise InterruptedPrompt

    def wait(self, seconds: float) -> None:
        """Wait, unless a stop is asked for meanwhile: then raise at once."""
        if seconds > 0:
            self._asked.wait(seconds)
        self.check()
