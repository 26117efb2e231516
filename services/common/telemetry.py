"""Traces (OpenTelemetry): one trace from a request through outbox, broker and saga to whatever they lead to.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; then nothing is installed and a call here is one comparison. A trace goes
with a message as W3C's `traceparent` (w3.org/TR/trace-context): a header of requests and of RabbitMQ, a key beside an
outbox row's payload, a field of the saga's input. Attributes are ids and routes, never what people typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.common.asgi import App, Receive, Scope, Send, asked_by_people
from services.common.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

TRACEPARENT: Final = "traceparent"
# Seconds: a collector that is away must not hold up the end of a process.
_EXPORT_SECONDS, _FLUSH_MILLISECONDS = 3, 5_000
_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None


def install(provider: TracerProvider | None) -> None:
    """Trace with ``provider`` from now on, or (None) no more."""
    global _provider, _tracer
    _provider = provider
    _tracer = provider.get_tracer("services") if provider else None


def configure(service: str, settings: ServiceSettings) -> None:
    """Trace if the settings name a collector.

    The ratio is decided by the trace's id, alike in every service, whatever a caller from outside asks for; a trace
    that somebody before us left out stays out.
    """
    if settings.otel_exporter_otlp_endpoint is None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    ratio = TraceIdRatioBased(settings.otel_traces_sampler_arg)
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}),
        sampler=ParentBased(root=ratio, remote_parent_sampled=ratio),
    )
    endpoint = f"{settings.otel_exporter_otlp_endpoint}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_EXPORT_SECONDS)))
    install(provider)


def enabled() -> bool:
    """Whether anything is traced."""
    return _tracer is not None


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, parent: str | None = None, **attributes: str
) -> AbstractContextManager[object]:
    """A span around a block; ``parent`` is a traceparent that came with a message. Attributes are ids."""
    if _tracer is None:
        return nullcontext()
    return _spanning(_tracer, name, _propagator.extract({TRACEPARENT: parent}) if parent else None, kind, attributes)


@contextmanager
def _spanning(
    tracer: trace.Tracer, name: str, context: Context | None, kind: SpanKind, attributes: Mapping[str, str]
) -> Iterator[None]:
    """A span that keeps the kind of an error; OpenTelemetry would keep its text too, which quotes what people typed."""
    with tracer.start_as_current_span(
        name, context, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str | None:
    """The current trace, to go with a message; None when there is none."""
    if _tracer is None:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(TRACEPARENT)


def log_ids(_: object, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the trace and the span in which a line was written."""
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        entry["trace_id"] = trace.format_trace_id(current.trace_id)
        entry["span_id"] = trace.format_span_id(current.span_id)
    return entry


class Traced:
    """ASGI middleware: a span for every request but those of probes, named after the route's template."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, within a span whose parent is the caller's."""
        if not asked_by_people(scope):
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        with span(scope["method"], SpanKind.SERVER, parent=headers.get(TRACEPARENT)):
            current = trace.get_current_span()

            async def sending(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    current.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        current.set_status(Status(StatusCode.ERROR))
                await send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                route = scope.get("route")
                current.update_name(f"{scope['method']} {route.path if route else 'none'}")
                current.set_attribute("http.request.method", scope["method"])
                current.set_attribute("http.route", route.path if route else "none")


def instrument(app: FastAPI) -> None:
    """Trace the requests of ``app``, and export what is left when it has ended; nothing when tracing is off."""
    if _provider is None:
        return
    provider, inner = _provider, app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[Any]:
        async with inner(running) as state:
            yield state
        await asyncio.to_thread(provider.force_flush, _FLUSH_MILLISECONDS)

    app.router.lifespan_context = lifespan
    app.add_middleware(Traced)
