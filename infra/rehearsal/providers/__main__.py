"""`python -m infra.rehearsal.providers PACKAGE`: serve one package's stand-in to the engine that starts us.

Prints the port and serves until the engine is gone. A package with a module of its name here has a class `StandIn` of
its own there; any other gets the general one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from concurrent import futures

import grpc

from infra.rehearsal.listening import serve
from infra.rehearsal.parents import end_with_parent
from infra.rehearsal.providers import server
from infra.rehearsal.providers.cloud import Cloud

_MANY = 64  # the engine asks for as many things at once as it likes; a waiting health check must not hold up the rest


def stand_in_class(package: str) -> type[server.StandIn]:
    """The class for a package: `infra.rehearsal.providers.<package>.StandIn`, or the general one."""
    module = f"infra.rehearsal.providers.{package.replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        return server.StandIn
    found: type[server.StandIn] = importlib.import_module(module).StandIn
    return found


def without_the_sdk() -> None:
    """Let `pulumi.runtime.proto` be imported alone.

    All of the SDK takes a quarter of a second in each of the many processes of a deployment; a stand-in needs the
    protocol's messages only.
    """
    spec = importlib.util.find_spec("pulumi")
    assert spec is not None and spec.submodule_search_locations
    folder = spec.submodule_search_locations[0]
    for name, path in (("pulumi", folder), ("pulumi.runtime", f"{folder}/runtime")):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


def main() -> None:
    end_with_parent()
    package = sys.argv[1]
    without_the_sdk()
    from pulumi.runtime.proto import provider_pb2_grpc

    from infra.rehearsal.providers.service import StandInService

    service = StandInService(stand_in_class(package)(package, Cloud.from_environment()))
    endless = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    listener = grpc.server(futures.ThreadPoolExecutor(_MANY), options=endless)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(service, listener)
    serve(listener)


if __name__ == "__main__":
    main()
