"""The worker's own small HTTP port: alive, ready, metrics. Off unless HEALTH_PORT is set.

Served from a thread, so that it answers while the event loop is busy; it only reads.
"""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """What a worker counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = Counter("comfyume_worker_jobs", "Jobs by how they ended", ["how"], registry=self.registry)
        self.seconds = Histogram(
            "comfyume_worker_job_seconds", "Time from lease to recorded end", buckets=_BUCKETS, registry=self.registry
        )
        self.restarts = Counter(
            "comfyume_worker_engine_restarts",
            "How often ComfyUI was stopped to be started anew",
            registry=self.registry,
        )
        self.ready = Gauge("comfyume_worker_ready", "1 while jobs are taken", registry=self.registry)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: probes come every few seconds."""


class HealthServer:
    """Listens from construction to `close`."""

    def __init__(self, host: str, port: int, metrics: Metrics, state: Callable[[], dict[str, Any]]) -> None:
        """`state` returns what /readyz shows; its key "ready" decides between 200 and 503. Raises OSError for a
        taken port.
        """
        self._state = state
        self._metrics = make_wsgi_app(metrics.registry)
        self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_QuietHandler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        state = self._state()
        if path == "/healthz":
            return _json(start_response, "200 OK", {"status": "alive"})
        if path == "/readyz":
            return _json(start_response, "200 OK" if state.get("ready") else "503 Service Unavailable", state)
        return _json(
            start_response, "404 Not Found", {"error": "not_found", "detail": "Try /healthz, /readyz, /metrics."}
        )


def _json(start_response: Any, status: str, body: dict[str, Any]) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
