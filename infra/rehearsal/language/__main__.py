"""`python -m infra.rehearsal.language ENGINE`: the host. Prints its port, runs programs, ends with the engine.

Each program runs in a process of its own (`runner.py`), which is ended when the engine gives the run up. Plugins are
not announced: the engine starts each provider when the program first asks for it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from infra.rehearsal.listening import serve
from infra.rehearsal.parents import end_with_parent

SHOWN_ALREADY = 32
"""Exit status of a runner whose program failed and said why through the engine."""


class PythonHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The part of the language protocol that a deployment uses."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  the protocol's names
        self.engine = request.engine_address or self.engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="1.0.0")

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return language_pb2.GetRequiredPluginsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return Empty()

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        runner = subprocess.Popen(
            [sys.executable, "-u", "-m", "infra.rehearsal.language.runner"],
            cwd=request.info.program_directory,
            stdin=subprocess.PIPE,
            text=True,
        )
        context.add_callback(runner.kill)
        runner.communicate(json.dumps(self._order(request)))  # not in arguments: it holds the secret settings
        if runner.returncode == SHOWN_ALREADY:
            return language_pb2.RunResponse(bail=True)
        error = "" if runner.returncode == 0 else f"the program ended with status {runner.returncode}"
        return language_pb2.RunResponse(error=error)

    def _order(self, request: Any) -> dict[str, Any]:
        return {
            "settings": {
                "project": request.project,
                "stack": request.stack,
                "monitor": request.monitor_address,
                "engine": self.engine,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": request.info.root_directory,
            },
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
        }


def main() -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit())  # the engine says goodbye with it
    end_with_parent()
    listener = grpc.server(futures.ThreadPoolExecutor(8))
    host = PythonHost(sys.argv[1] if len(sys.argv) > 1 else "")
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, listener)
    serve(listener)


if __name__ == "__main__":
    main()
