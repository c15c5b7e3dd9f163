"""How a plugin of the engine begins: it prints the port it listens on, and serves until it is ended."""

from __future__ import annotations

import grpc


def serve(listener: grpc.Server) -> None:
    """Serve on a free port of the loopback address; `listener` has its servicer already."""
    port = listener.add_insecure_port("127.0.0.1:0")
    listener.start()
    print(port, flush=True)
    listener.wait_for_termination()
