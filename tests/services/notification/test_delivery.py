"""A buyer is told once, whoever says it, however often; what cannot be handled is kept as a dead letter."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import aio_pika
import asyncpg
import httpx
import pytest

from components.broker_topology import DELIVERY_LIMIT, Subscription
from services.common import inbox, rabbitmq
from services.common.inbox import Claim, Outcome
from services.common.outbox import OutboxMessage
from services.contracts import EVENTS_EXCHANGE, Command, Event, EventMessage
from services.notification import bootstrap, domain, handlers
from services.notification.adapters.novu import NovuNotifier
from services.notification.adapters.store import PostgresStore
from tests.services.broker import Broker
from tests.services.conftest import eventually
from tests.services.samples import message


@pytest.fixture
async def notifier(novu_server: str) -> AsyncIterator[NovuNotifier]:
    made = NovuNotifier("novu-local-key", novu_server)
    yield made
    await made.aclose()


def event(kind: Event, order: str) -> EventMessage:
    ids = {"orderId": order, "buyerId": f"buyer-of-{order}", "eventId": str(uuid.uuid4())}
    return EventMessage(id=str(uuid.uuid4()), type=kind, occurred_at="2030-01-01T00:00:00+00:00", ids=ids)


async def delivered(novu: str, order: str) -> list[str]:
    async with httpx.AsyncClient() as client:
        answer = (await client.get(f"{novu}/_local/delivered")).json()
    return [entry["transactionId"] for entry in answer["delivered"] if entry["payload"]["orderId"] == order]


async def fail(novu: str, count: int) -> None:
    async with httpx.AsyncClient() as client:
        (await client.post(f"{novu}/_local/failures", json={"count": count})).raise_for_status()


async def test_the_step_is_answered_again_without_telling_again(
    notification: asyncpg.Pool, notifier: NovuNotifier, novu_server: str
) -> None:
    sent = message(Command.SEND_NOTIFICATION, str(uuid.uuid4()))
    claim = await inbox.claim(notification, "notification", sent, seconds=30)
    assert isinstance(claim, Claim)
    outcome = await bootstrap.commands(notification, notifier)[Command.SEND_NOTIFICATION](sent, claim)
    again = await inbox.claim(notification, "notification", sent, seconds=30)
    assert isinstance(again, Outcome)
    assert again.output == outcome.output == {"transactionId": f"order-completed:{sent.order_id}"}
    assert await delivered(novu_server, sent.order_id) == [f"order-completed:{sent.order_id}"]


async def test_fifty_parallel_duplicates_of_an_event_are_one_feed_entry_and_one_message(
    notification: asyncpg.Pool, notifier: NovuNotifier, novu_server: str
) -> None:
    cancelled = event(Event.ORDER_CANCELLED, str(uuid.uuid4()))
    store = PostgresStore(notification)
    await asyncio.gather(*(handlers.on_event(store, notifier, cancelled) for _ in range(50)))
    assert len(await store.feed(cancelled.ids["buyerId"])) == 1
    assert len(await delivered(novu_server, cancelled.ids["orderId"])) == 1


async def test_an_event_is_not_received_until_the_buyer_was_told(
    notification: asyncpg.Pool, notifier: NovuNotifier, novu_server: str
) -> None:
    cancelled, store = event(Event.ORDER_CANCELLED, str(uuid.uuid4())), PostgresStore(notification)
    await fail(novu_server, 1_000)
    with pytest.raises(Exception, match="failing on request"):
        await handlers.on_event(store, notifier, cancelled)
    await fail(novu_server, 0)
    assert await notification.fetchval("SELECT count(*) FROM inbox") == 0
    await handlers.on_event(store, notifier, cancelled)
    assert await delivered(novu_server, cancelled.ids["orderId"]) == [f"order-cancelled:{cancelled.ids['orderId']}"]


async def test_a_poison_message_is_a_dead_letter_and_stops_nobody(
    notification: asyncpg.Pool, notifier: NovuNotifier, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "LONGEST_PAUSE_SECONDS", 0.01)
    queue, good = f"test.{uuid.uuid4()}", event(Event.ORDER_PLACED, str(uuid.uuid4()))
    listening = Subscription(service="notification", queue=queue, topics=domain.TOPICS)
    url = broker(["booking"], [listening])
    poison = event(Event.TICKET_ISSUED, str(uuid.uuid4()))
    store, stop, tries = PostgresStore(notification), asyncio.Event(), []

    async def handle(received: EventMessage) -> None:
        if received.id == poison.id:
            tries.append(received.id)
            raise RuntimeError("cannot be handled")
        await handlers.on_event(store, notifier, received)

    async with (
        rabbitmq.connection(url("notification")) as connected,
        connected.channel() as channel,
        rabbitmq.connection(url("booking")) as publishing,
    ):
        consuming = asyncio.create_task(rabbitmq.consume(channel, queue, handle, stop))
        await asyncio.sleep(0)
        async with (
            publishing.channel() as other,
            rabbitmq.connection(url("admin")) as admin,
            admin.channel() as looking,
        ):
            publisher = rabbitmq.EventPublisher(other)
            exchange = await other.get_exchange(EVENTS_EXCHANGE)
            await exchange.publish(aio_pika.Message(b"not json"), routing_key="order.placed")
            for sent in (poison, good):
                said = OutboxMessage(uuid.UUID(sent.id), "events", sent.type.value, sent.ids, sent.occurred_at)
                await publisher.publish(said)

            letters: list[bytes] = []
            dead = await looking.get_queue(f"{queue}.dead")

            async def settled() -> bool:
                letter = await dead.get(fail=False)
                if letter is not None:
                    letters.append(letter.body)
                    await letter.ack()
                return len(letters) == 2

            await eventually(settled)
            assert b"not json" in letters
            assert [json.loads(letter)["id"] for letter in letters if letter != b"not json"] == [poison.id]
            assert await notification.fetchval("SELECT count(*) FROM inbox WHERE message_id = $1", good.id) == 1
            assert len(tries) == DELIVERY_LIMIT + 1
            stop.set()
            await consuming
