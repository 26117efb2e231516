"""RabbitMQ: events out with publisher confirms, events in from a queue of one's own.

Exchange, queues and their limits are made with the infrastructure; a service uses what is there and may change none of
it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from services.common import logs, loops, metrics, telemetry
from services.common.outbox import OutboxMessage
from services.contracts import EVENTS_EXCHANGE, EventMessage

log = logs.get(__name__)

CONFIRM_SECONDS = 10.0
PREFETCH = 16
# Quorum queues redeliver at once, so a consumer waits before it gives a message back: 1, 2, 4, … seconds.
LONGEST_PAUSE_SECONDS = 30.0


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[AbstractRobustConnection]:
    """A connection that comes back by itself; amqps:// is verified against Python's default trust."""
    context = ssl.create_default_context() if url.startswith("amqps://") else None
    made = await aio_pika.connect_robust(url, ssl_context=context, timeout=10)
    async with made:
        yield made


class EventPublisher:
    """A publisher of the outbox: returns when a majority of the queue's replicas has the message.

    An event to which nobody has subscribed is confirmed and goes nowhere, as topics do.
    """

    def __init__(self, channel: AbstractRobustChannel) -> None:
        self._channel = channel
        self._exchange: aio_pika.abc.AbstractExchange | None = None

    async def publish(self, message: OutboxMessage) -> None:
        """Publish under the event's name; raises when it is not confirmed within CONFIRM_SECONDS."""
        event = EventMessage.model_validate(
            {"id": str(message.id), "type": message.topic, "occurredAt": message.occurred_at, "ids": message.payload}
        )
        body = aio_pika.Message(
            event.model_dump_json().encode(),
            message_id=event.id,
            type=event.type.value,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers={telemetry.TRACEPARENT: trace} if (trace := telemetry.traceparent()) else None,
        )
        # A channel that has lost its connection waits for another one, for ever.
        async with asyncio.timeout(CONFIRM_SECONDS):
            if self._exchange is None:
                self._exchange = await self._channel.get_exchange(EVENTS_EXCHANGE)
            await self._exchange.publish(body, routing_key=message.topic, mandatory=False)


async def consume(
    channel: AbstractRobustChannel,
    queue: str,
    handler: Callable[[EventMessage], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Feed ``handler`` until ``stop``: acknowledged after it returns; given back when it raises, with a growing pause,
    until the queue's delivery limit makes it a dead letter. What cannot be parsed is a dead letter at once.
    """
    await channel.set_qos(prefetch_count=PREFETCH)
    made = await channel.get_queue(queue)
    busy: set[asyncio.Task[None]] = set()

    async def on_message(message: AbstractIncomingMessage) -> None:
        task = asyncio.current_task()
        if task is not None:
            busy.add(task)
            task.add_done_callback(busy.discard)
        await _handle(message, handler, stop)

    tag = await made.consume(on_message)
    await stop.wait()
    await made.cancel(tag)
    await asyncio.gather(*busy, return_exceptions=True)


async def _handle(
    message: AbstractIncomingMessage, handler: Callable[[EventMessage], Awaitable[None]], stop: asyncio.Event
) -> None:
    try:
        event = EventMessage.model_validate_json(message.body)
    except ValidationError as error:
        log.error("not an event: to the dead letters", message=message.message_id, errors=error.error_count())
        await message.reject(requeue=False)
        return
    parent = message.headers.get(telemetry.TRACEPARENT)
    try:
        with telemetry.span(
            f"consume {event.type}", SpanKind.CONSUMER, parent=str(parent) if parent else None, event=event.id
        ):
            await handler(event)
    except Exception as error:
        deliveries = int(str(message.headers.get("x-delivery-count") or 0))
        log.warning("event given back", event_id=event.id, type=event.type, deliveries=deliveries, error=error)
        await loops.pause(stop, min(LONGEST_PAUSE_SECONDS, 2.0**deliveries))
        await message.nack(requeue=True)
        return
    delay = datetime.now(UTC) - datetime.fromisoformat(event.occurred_at)
    metrics.EVENTS.labels(event.type).observe(delay.total_seconds())
    await message.ack()
