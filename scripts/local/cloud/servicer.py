"""Any `Backend` as a Pulumi resource provider over gRPC.

All provider instances of a program (the default one, and explicit ones with another region or other default tags) share
this process. The engine opens one connection per instance, so the connection tells whose settings apply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from scripts.local.cloud.backend import Backend, Change, NotFound, PartiallyCreated, Refused, Resource
from scripts.local.cloud.journal import Journal
from scripts.local.cloud.wire import decode, encode

log = logging.getLogger(__name__)

_KIND = {
    Change.ADD: pb.PropertyDiff.ADD,
    Change.UPDATE: pb.PropertyDiff.UPDATE,
    Change.DELETE: pb.PropertyDiff.DELETE,
    Change.REPLACE: pb.PropertyDiff.UPDATE_REPLACE,
}


class ProviderServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates requests for ``backend`` (unconfigured) and its errors; holds no state but who is configured how."""

    def __init__(self, backend: Backend, journal: Journal | None = None) -> None:
        self._unconfigured = backend
        self._journal = journal or Journal()
        self._configured: dict[str, Backend] = {}

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: grpc.ServicerContext) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False, accept_outputs=False)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._unconfigured.version)

    def CheckConfig(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_UNKNOWN)

    def Configure(self, request: pb.ConfigureRequest, context: grpc.ServicerContext) -> Any:
        with _errors(context):
            self._configured[context.peer()] = self._unconfigured.configured(decode(request.args))
        return pb.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> Any:
        with _errors(context):
            checked = self._backend(context).check(
                _resource(request), decode(request.news), decode(request.olds), request.randomSeed
            )
        failures = [pb.CheckFailure(property=refusal.property, reason=refusal.reason) for refusal in checked.refusals]
        return pb.CheckResponse(inputs=encode(checked.inputs), failures=failures)

    def Diff(self, request: pb.DiffRequest, context: grpc.ServicerContext) -> Any:
        with _errors(context):
            found = self._backend(context).diff(
                _resource(request),
                request.id,
                decode(request.olds),
                decode(request.old_inputs),
                decode(request.news),
                list(request.ignoreChanges),
            )
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if found.changes else pb.DiffResponse.DIFF_NONE,
            replaces=[path for path, change in found.changes.items() if change is Change.REPLACE],
            diffs=list(dict.fromkeys(path.split(".")[0].split("[")[0] for path in found.changes)),
            deleteBeforeReplace=found.delete_before_replace,
            hasDetailedDiff=True,
            detailedDiff={
                path: pb.PropertyDiff(kind=_KIND[change], inputDiff=True) for path, change in found.changes.items()
            },
        )

    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> Any:
        resource, inputs, backend = _resource(request), decode(request.properties), self._backend(context)
        with _errors(context):
            if request.preview:
                created = backend.create(resource, inputs, preview=True, timeout=request.timeout)
            else:
                with self._journal.making(backend, resource, inputs) as entry:
                    created = backend.create(resource, inputs, preview=False, timeout=request.timeout)
                    entry.made(created.id, created.state)
        return pb.CreateResponse(id=created.id, properties=encode(created.state))

    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> Any:
        try:
            with _errors(context, missing_is_error=False):
                found = self._backend(context).read(
                    _resource(request), request.id, decode(request.properties), decode(request.inputs)
                )
        except NotFound:
            return pb.ReadResponse(id="")
        return pb.ReadResponse(id=found.id, properties=encode(found.state), inputs=encode(found.inputs))

    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> Any:
        with _errors(context):
            state = self._backend(context).update(
                _resource(request),
                request.id,
                decode(request.olds),
                decode(request.old_inputs),
                decode(request.news),
                preview=request.preview,
                timeout=request.timeout,
                ignore=list(request.ignoreChanges),
            )
        return pb.UpdateResponse(properties=encode(state))

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> Any:
        with _errors(context):
            self._backend(context).delete(
                _resource(request), request.id, decode(request.properties), timeout=request.timeout
            )
        self._journal.gone(_resource(request), request.id)
        return empty_pb2.Empty()

    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> Any:
        try:
            with _errors(context, refusals_are_errors=False):
                answer = self._backend(context).invoke(request.tok, decode(request.args), preview=request.preview)
        except Refused as refusal:
            return pb.InvokeResponse(failures=[pb.CheckFailure(property=refusal.property, reason=refusal.reason)])
        fields: dict[str, Any] = {"return": encode(answer)}  # a keyword of Python, so no plain argument
        return pb.InvokeResponse(**fields)

    def _backend(self, context: grpc.ServicerContext) -> Backend:
        return self._configured.get(context.peer(), self._unconfigured)


def serve(servicer: provider_pb2_grpc.ResourceProviderServicer, *, threads: int = 32) -> tuple[grpc.Server, int]:
    """Start a gRPC server for it on a free loopback port; returns the server and the port."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(threads), options=unlimited)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _resource(request: Any) -> Resource:
    """Older engines send only the urn; its last two parts are the type (after the parents' types) and the name."""
    _, _, kinds, name = request.urn.split("::", 3)
    return Resource(request.urn, request.type or kinds.split("$")[-1], request.name or name)


@contextmanager
def _errors(
    context: grpc.ServicerContext, *, missing_is_error: bool = True, refusals_are_errors: bool = True
) -> Iterator[None]:
    """Turn a backend's exception into the gRPC status that the engine shows."""
    abort: Callable[..., Any] = context.abort
    try:
        yield
    except Refused as refusal:
        if not refusals_are_errors:
            raise
        abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
    except NotFound as missing:
        if not missing_is_error:
            raise
        abort(grpc.StatusCode.NOT_FOUND, str(missing))
    except PartiallyCreated as half:
        details = any_pb2.Any()
        details.Pack(
            pb.ErrorResourceInitFailed(
                id=half.id,
                properties=encode(half.state),
                inputs=None if half.inputs is None else encode(half.inputs),
                reasons=[half.reason],
            )
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=half.reason, details=[details])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        abort(grpc.StatusCode.UNKNOWN, half.reason)
    except Exception as error:
        log.exception("a request failed")
        abort(grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)
