"""Speak the engine's provider protocol for a stand-in: open and close values, inject faults, note every call.

Answers accept secrets and give them back wrapped. What goes wrong unexpectedly inside a stand-in is written with its
traceback to `errors.log` of the rehearsed cloud, because an exception's text may hold a secret.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from infra.rehearsal.providers import wire
from infra.rehearsal.providers.schema import package_version
from infra.rehearsal.providers.server import StandIn
from infra.rehearsal.providers.values import (
    Difference,
    Existing,
    PartialFailure,
    Properties,
    ProviderFailure,
    Request,
)

_Diff = provider_pb2.DiffResponse
_Kind = provider_pb2.PropertyDiff.Kind


class StandInService(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol around one stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.version = package_version(stand_in.name)
        self.cloud = stand_in.cloud

    # -- the provider itself ------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802  the protocol's names
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self.version)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        inputs = _configuration(wire.opened(wire.raw(request.news)))
        about = Request(type=f"pulumi:providers:{self.stand_in.name}", name="", urn=request.urn, inputs=inputs)
        checked = StandIn.check(self.stand_in, about)
        failures = [provider_pb2.CheckFailure(reason=problem.reason) for problem in checked.problems]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        olds, news = wire.opened(wire.raw(request.olds)), wire.opened(wire.raw(request.news))
        changed = {key for key in olds.keys() | news.keys() if key != "version" and olds.get(key) != news.get(key)}
        return _diff_response(Difference(frozenset(changed)), olds, news)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.stand_in.configure(_configuration(wire.opened(wire.raw(request.args))))
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        arguments = wire.opened(wire.raw(request.args))
        answer = self._guarded("invoke", request.tok, "", context, lambda: self.stand_in.invoke(request.tok, arguments))
        return provider_pb2.InvokeResponse(**{"return": wire.closed(answer)})

    # -- resources ----------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(request, inputs=request.news, old_inputs=request.olds)
        checked = self._guarded("check", request.urn, "", context, lambda: self.stand_in.check(about))
        inputs = wire.closed_again(checked.inputs, [wire.raw(request.news)], frozenset())
        failures = [provider_pb2.CheckFailure(reason=problem.reason) for problem in checked.problems]
        return provider_pb2.CheckResponse(inputs=wire.closed(inputs), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(request, inputs=request.news, old_inputs=request.old_inputs, old_outputs=request.olds)
        found = self._guarded("diff", request.urn, request.id, context, lambda: self.stand_in.diff(about))
        return _diff_response(found, about.old_inputs, about.inputs)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(request, inputs=request.properties, preview=request.preview)
        known = [wire.raw(request.properties)]
        if request.preview:
            return provider_pb2.CreateResponse(properties=self._closed(self.stand_in.preview_create(about), known))
        made: Existing = self._faulty("create", about, known, context, lambda: self.stand_in.create(about))
        return provider_pb2.CreateResponse(id=made.id, properties=self._closed(made.outputs, known))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(request, inputs=request.inputs, old_inputs=request.inputs, old_outputs=request.properties)
        known = [wire.raw(request.inputs), wire.raw(request.properties)]
        found = self._faulty("read", about, known, context, lambda: self.stand_in.read(about))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = wire.closed(wire.closed_again(found.inputs, known, frozenset()))
        return provider_pb2.ReadResponse(
            id=found.id, properties=self._closed(found.outputs, known[::-1]), inputs=inputs
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(
            request,
            inputs=request.news,
            old_inputs=request.old_inputs,
            old_outputs=request.olds,
            preview=request.preview,
        )
        known = [wire.raw(request.news), wire.raw(request.olds)]
        if request.preview:
            return provider_pb2.UpdateResponse(properties=self._closed(self.stand_in.preview_update(about), known))
        outputs = self._faulty("update", about, known, context, lambda: self.stand_in.update(about))
        return provider_pb2.UpdateResponse(properties=self._closed(outputs, known))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        about = _request(
            request, inputs=request.old_inputs, old_inputs=request.old_inputs, old_outputs=request.properties
        )
        self._faulty("delete", about, [], context, lambda: self.stand_in.delete(about))
        return Empty()

    # -- what every call goes through ---------------------------------------------------------------------------------

    def _closed(self, outputs: Properties, known: list[Properties]) -> Any:
        return wire.closed(wire.closed_again(outputs, known, self.stand_in.derived_outputs))

    def _faulty(
        self, op: str, about: Request, known: list[Properties], context: grpc.ServicerContext, act: Callable[[], Any]
    ) -> Any:
        """Run an operation that touches the cloud, with the fault that is laid out for it."""

        def with_fault() -> Any:
            self.cloud.note_call(op, about.urn, about.id, began=True)
            fault = self.cloud.fault(op, about.urn)
            if fault is None:
                return act()
            if fault.when == "before":
                time.sleep(fault.sleep)
                if fault.error:
                    raise ProviderFailure(fault.error)
            result = act()
            if fault.when == "after":
                time.sleep(fault.sleep)
                if fault.error:
                    raise ProviderFailure(fault.error)
            if fault.partial:
                is_new = isinstance(result, Existing)
                raise PartialFailure(
                    fault.partial, result.id if is_new else about.id, result.outputs if is_new else result
                )
            return result

        return self._guarded(op, about.urn, about.id, context, with_fault, known)

    def _guarded(
        self,
        op: str,
        urn: str,
        id_: str,
        context: grpc.ServicerContext,
        act: Callable[[], Any],
        known: list[Properties] | None = None,
    ) -> Any:
        """Run anything; note how it went; turn a failure into the answer that the engine expects."""
        try:
            result = act()
        except PartialFailure as failure:
            self.cloud.note_call(op, urn, failure.id, error=str(failure))
            self._abort_partial(context, failure, known or [])
        except ProviderFailure as failure:
            self.cloud.note_call(op, urn, id_, error=str(failure))
            context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        except Exception as failure:
            self.cloud.note_call(op, urn, id_, error=type(failure).__name__)
            log = self.cloud.folder / "errors.log"
            with log.open("a") as file:
                file.write(f"{op} {urn}\n{traceback.format_exc()}\n")
            words = f"the stand-in for {self.stand_in.name} failed ({type(failure).__name__}); {log} has the details"
            context.abort(grpc.StatusCode.UNKNOWN, words)
        self.cloud.note_call(op, urn, result.id if isinstance(result, Existing) else id_)
        return result

    def _abort_partial(
        self, context: grpc.ServicerContext, failure: PartialFailure, known: list[Properties]
    ) -> NoReturn:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=failure.id,
            properties=self._closed(failure.outputs, known),
            reasons=[str(failure)],
            inputs=wire.closed(known[0]) if known else None,
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failure))
        status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        raise failure  # never reached: abort raises


def _request(request: Any, *, preview: bool = False, **structs: Any) -> Request:
    values = {name: wire.raw(struct) for name, struct in structs.items()}
    return Request(
        type=request.type,
        name=request.name,
        urn=request.urn,
        id=getattr(request, "id", ""),
        preview=preview,
        secret_inputs=wire.secret_keys(values["inputs"]),
        timeout=getattr(request, "timeout", 0),
        **{name: wire.opened(value) for name, value in values.items()},
    )


def _configuration(inputs: Properties) -> Properties:
    """A provider's inputs; lists and objects among them arrive as JSON text."""
    found: Properties = {}
    for name, value in inputs.items():
        if name == "version" or name.startswith("__"):
            continue
        is_json = isinstance(value, str) and (value[:1] in ("[", "{") or value in ("true", "false"))
        found[name] = json.loads(value) if is_json else value
    return found


def _diff_response(found: Difference, olds: Properties, news: Properties) -> Any:
    detailed = {}
    for name in found.changed:
        kind = "ADD" if name not in olds else "DELETE" if name not in news else "UPDATE"
        kind += "_REPLACE" if name in found.replaces else ""
        detailed[name] = provider_pb2.PropertyDiff(kind=_Kind.Value(kind), inputDiff=True)
    return _Diff(
        changes=_Diff.DIFF_SOME if found.changed else _Diff.DIFF_NONE,
        diffs=sorted(found.changed),
        replaces=sorted(found.replaces),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=found.delete_before_replace and bool(found.replaces),
    )
