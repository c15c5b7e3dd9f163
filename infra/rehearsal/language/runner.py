"""Run `__main__.py` of the working directory as a Pulumi program; what to run it with comes as JSON on stdin."""

from __future__ import annotations

import asyncio
import json
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import Settings, configure, set_all_config
from pulumi.runtime.stack import run_in_stack

from infra.rehearsal.language.__main__ import SHOWN_ALREADY
from infra.rehearsal.parents import end_with_parent


def main() -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(SHOWN_ALREADY))
    end_with_parent()
    order = json.load(sys.stdin)
    set_all_config(order["config"], order["secret_keys"])
    configure(Settings(**order["settings"]))
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(4 * max(order["settings"]["parallel"], 1)))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run_in_stack(_program))
    except Exception as error:
        _show(error)
        sys.exit(SHOWN_ALREADY)


def _program() -> None:
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_path("__main__.py", run_name="__main__")


def _show(error: Any) -> None:
    """Through the engine, as it shows everything: an error of the settings as a sentence, any other with its place."""
    is_sentence = isinstance(error, pulumi.RunError)
    pulumi.log.error(str(error) if is_sentence else "".join(traceback.format_exception(error)))


if __name__ == "__main__":
    main()
