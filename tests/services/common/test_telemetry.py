"""One trace from a request to whatever it leads to; nothing at all when tracing is off."""

from __future__ import annotations

import asyncio
import json
import timeit
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from components.broker_topology import Subscription
from services.common import rabbitmq, runtime, telemetry
from services.common.aws import Threads
from services.common.executions import ExecutionStarter
from services.common.inbox import Claim, Outcome
from services.common.outbox import EVENTS, SAGA, Outbox, Relay
from services.common.saga_worker import Queue, SagaWorker
from services.common.settings import ServiceSettings
from services.contracts import Command, Event, EventMessage, SagaInput, SagaMessage
from tests.services.broker import Broker

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = int(CALLER.split("-")[1], 16)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Tracing is on, into memory."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.install(provider)
    yield exporter
    telemetry.install(None)


def application(pool: asyncpg.Pool) -> FastAPI:
    """An API of which a request leaves an event and the start of a saga in the outbox."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    app = runtime.application("test", lifespan)

    @app.post("/orders/{order}")
    async def buy(order: str) -> None:
        terms = SagaInput(order_id=order, buyer_id="b", amount=1, currency="eur", payment_method="pm")
        async with pool.acquire() as connection, connection.transaction():
            await Outbox(connection).event(Event.ORDER_PLACED, orderId=order)
            await Outbox(connection).add(SAGA, order, terms.model_dump())

    telemetry.instrument(app)
    return app


async def request(app: FastAPI, **headers: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        assert (await client.post("/orders/order-1", headers=headers)).status_code == 200
        assert (await client.get("/metrics")).status_code == 200


class Started:
    """A publisher of nothing, and a Step Functions and an SQS that remember."""

    def __init__(self) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.answers: list[str] = []

    def start_execution(self, **asked: Any) -> None:
        self.inputs.append(json.loads(asked["input"]))

    def send_task_success(self, **asked: Any) -> None:
        self.answers.append(asked["taskToken"])

    def delete_message(self, **_: Any) -> None:
        return None


async def test_request_outbox_broker_and_saga_are_one_trace(
    booking: asyncpg.Pool, broker: Broker, spans: InMemorySpanExporter
) -> None:
    await request(application(booking), traceparent=CALLER)
    queue = f"test.{uuid.uuid4()}"
    url = broker(["booking"], [Subscription(service="notification", queue=queue, topics=("order.*",))])
    received: asyncio.Queue[tuple[EventMessage, str | None]] = asyncio.Queue()
    stop, aws = asyncio.Event(), Started()

    async def handle(event: EventMessage) -> None:
        await received.put((event, telemetry.traceparent()))

    async with (
        rabbitmq.connection(url("notification")) as listening,
        listening.channel() as incoming,
        rabbitmq.connection(url("booking")) as publishing,
        publishing.channel() as outgoing,
    ):
        consuming = asyncio.create_task(rabbitmq.consume(incoming, queue, handle, stop))
        client: Any = aws
        starter = ExecutionStarter(client, "arn", Threads(1), per_second=1_000)
        relay = Relay(booking, {EVENTS: rabbitmq.EventPublisher(outgoing), SAGA: starter})
        async with asyncio.timeout(30):
            # A quorum queue that was made a moment ago may not confirm yet.
            while await booking.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):
                await booking.execute("UPDATE outbox SET available_at = now()")
                await relay.pass_once()
            event, within = await received.get()
        stop.set()
        await consuming
    assert event.ids == {"orderId": "order-1"}, "the trace is no id of the event"
    assert within is not None
    assert within.split("-")[1] == CALLER.split("-")[1]

    async def issue(message: SagaMessage, claim: Claim) -> Outcome:
        async with booking.acquire() as connection, connection.transaction():
            await claim.decide(connection, Outcome({}))
            await Outbox(connection).event(Event.ORDER_COMPLETED, orderId=message.order_id)
        return Outcome({})

    [saga] = aws.inputs
    body = {
        "command": Command.ISSUE_TICKETS,
        "taskToken": "token",
        "executionArn": "arn",
        "orderId": "order-1",
        "input": saga,
    }
    worker = SagaWorker(
        "booking", Queue(url="queue"), {Command.ISSUE_TICKETS: issue}, pool=booking, sqs=client, step_functions=client
    )
    await worker.process({"ReceiptHandle": "receipt", "Body": json.dumps(body)})
    assert aws.answers == ["token"]
    [completed] = await Relay(booking, {}).lease(uuid.uuid4())
    assert completed.traceparent is not None
    finished = spans.get_finished_spans()
    assert {span.context.trace_id for span in finished if span.context} == {TRACE}
    assert sorted({span.name for span in finished}) == [
        "POST /orders/{order}",
        "booking.issue_tickets",
        "consume order.placed",
        "publish events",
        "publish saga",
    ]
    said = {key for span in finished for key in span.attributes or {}}
    assert said <= {"http.request.method", "http.route", "http.response.status_code", "message", "event", "order"}


async def test_nothing_is_installed_and_nothing_is_added_when_tracing_is_off(booking: asyncpg.Pool) -> None:
    telemetry.configure("test", ServiceSettings())
    assert not telemetry.enabled()
    app = application(booking)
    assert "Traced" not in str(app.user_middleware)
    await request(app, traceparent=CALLER)
    rows = await booking.fetch("SELECT payload FROM outbox ORDER BY destination")
    assert [sorted(row["payload"]) for row in rows] == [
        ["orderId"],
        ["amount", "buyerId", "currency", "orderId", "paymentMethod"],
    ]
    assert [message.traceparent for message in await Relay(booking, {}).lease(uuid.uuid4())] == [None, None]


def test_what_is_left_of_tracing_when_it_is_off_is_microseconds() -> None:
    def hot() -> None:
        telemetry.traceparent()
        with telemetry.span("name", order="order-1"):
            pass

    # Measured: 0.7 µs, beside the 800 µs of a request; a busy machine has room.
    assert min(timeit.repeat(hot, number=1_000, repeat=5)) / 1_000 < 20e-6


def test_a_line_of_the_log_names_its_trace_and_none_outside_of_one(spans: InMemorySpanExporter) -> None:
    assert telemetry.log_ids(None, "info", {"event": "alone"}) == {"event": "alone"}
    with telemetry.span("work", parent=CALLER):
        line = telemetry.log_ids(None, "info", {"event": "within"})
    [span] = spans.get_finished_spans()
    assert span.context is not None
    assert line == {
        "event": "within",
        "trace_id": CALLER.split("-")[1],
        "span_id": f"{span.context.span_id:016x}",
    }


async def test_what_is_left_is_exported_when_the_application_ends() -> None:
    posted = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def collector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /v1/traces ")
        loop.call_soon(posted.set)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(collector, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = ServiceSettings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}/", otel_traces_sampler_arg=1.0)
    telemetry.configure("test", settings)
    try:
        app = application(SimpleNamespace())  # no request is made
        async with app.router.lifespan_context(app):
            with telemetry.span("work"):
                pass
            assert not posted.is_set()
        assert posted.is_set()
    finally:
        telemetry.install(None)
        server.close()


async def test_a_share_of_none_keeps_nothing_whatever_a_caller_asks() -> None:
    settings = ServiceSettings(otel_exporter_otlp_endpoint="http://127.0.0.1:1", otel_traces_sampler_arg=0)
    telemetry.configure("test", settings)
    try:
        with telemetry.span("work", parent=CALLER):
            going_on = telemetry.traceparent()
        assert going_on is not None
        assert going_on.endswith("-00"), "passed on as not sampled"
    finally:
        telemetry.install(None)
