"""A buyer is told once, whoever says it, however often; what cannot be handled is kept as a dead letter."""

from __future__ import annotations

import asyncio
import json
import uuid

import aio_pika
import asyncpg
import pytest

from components.broker_topology import DELIVERY_LIMIT, Subscription
from services.common import inbox, rabbitmq
from services.common.inbox import Claim, Outcome
from services.common.outbox import OutboxMessage
from services.contracts import EVENTS_EXCHANGE, Command, Event, EventMessage
from services.notification import bootstrap, domain, handlers
from services.notification.adapters.store import PostgresStore
from services.notification.sending import Sender
from tests.services.broker import Broker
from tests.services.conftest import eventually
from tests.services.notification.conftest import Novu, event
from tests.services.samples import message


async def test_the_step_is_answered_when_the_delivery_is_queued_and_again_without_queueing_again(
    notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    sent = message(Command.SEND_NOTIFICATION, str(uuid.uuid4()))
    told = f"order-completed:{sent.order_id}"
    await novu.fail(count=1_000)
    claim = await inbox.claim(notification, "notification", sent, seconds=30)
    assert isinstance(claim, Claim)
    outcome = await bootstrap.commands(notification)[Command.SEND_NOTIFICATION](sent, claim)
    again = await inbox.claim(notification, "notification", sent, seconds=30)
    assert isinstance(again, Outcome)
    assert again.output == outcome.output == {"transactionId": told}
    await novu.fail(count=0)
    await sender.pass_once()
    assert told in await novu.transactions("buyer-1")


async def test_the_step_and_the_event_of_one_order_are_one_message(
    notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    order = str(uuid.uuid4())
    sent, completed = message(Command.SEND_NOTIFICATION, order), event(Event.ORDER_COMPLETED, order, buyerId="buyer-1")
    claim = await inbox.claim(notification, "notification", sent, seconds=30)
    assert isinstance(claim, Claim)
    await handlers.on_event(PostgresStore(notification), completed)
    await bootstrap.commands(notification)[Command.SEND_NOTIFICATION](sent, claim)
    while await sender.pass_once():
        pass
    assert (await novu.transactions("buyer-1")).count(f"order-completed:{order}") == 1


async def test_fifty_parallel_duplicates_of_an_event_are_one_feed_entry_and_one_message(
    notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    cancelled, store = event(Event.ORDER_CANCELLED), PostgresStore(notification)
    await asyncio.gather(*(handlers.on_event(store, cancelled) for _ in range(50)))
    buyer = cancelled.ids["buyerId"]
    assert [entry["status"] for entry in await store.feed(buyer)] == ["pending"]
    await asyncio.gather(*(sender.pass_once() for _ in range(5)))
    assert await novu.transactions(buyer) == [f"order-cancelled:{cancelled.ids['orderId']}"]
    assert [entry["status"] for entry in await store.feed(buyer)] == ["sent"]


async def test_an_event_is_received_though_novu_is_away(notification: asyncpg.Pool, novu: Novu) -> None:
    await novu.fail(count=1_000)
    cancelled, store = event(Event.ORDER_CANCELLED), PostgresStore(notification)
    await handlers.on_event(store, cancelled)
    assert await notification.fetchval("SELECT count(*) FROM inbox WHERE message_id = $1", cancelled.id) == 1


async def test_giver_and_receiver_of_a_ticket_are_told_each_and_each_has_it_in_the_feed(
    notification: asyncpg.Pool, sender: Sender, novu: Novu
) -> None:
    moved = event(Event.TICKET_TRANSFERRED, ticketId=str(uuid.uuid4()), recipientId=f"friend-{uuid.uuid4()}")
    store = PostgresStore(notification)
    await handlers.on_event(store, moved)
    await sender.pass_once()
    for person, told in ((moved.ids["buyerId"], "ticket-transferred"), (moved.ids["recipientId"], "ticket-received")):
        assert await novu.transactions(person) == [f"{told}:{moved.id}"]
        assert [entry["status"] for entry in await store.feed(person)] == ["sent"]


async def test_a_dispute_that_names_no_organiser_is_told_to_the_platform(
    notification: asyncpg.Pool, novu: Novu
) -> None:
    await handlers.on_event(PostgresStore(notification), event(Event.PAYMENT_DISPUTED, disputeId=str(uuid.uuid4())))
    assert await notification.fetchval("SELECT subscriber_id FROM deliveries") == "platform"


async def test_a_poison_message_is_a_dead_letter_and_stops_nobody(
    notification: asyncpg.Pool, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "LONGEST_PAUSE_SECONDS", 0.01)
    queue, good = f"test.{uuid.uuid4()}", event(Event.ORDER_PLACED)
    listening = Subscription(service="notification", queue=queue, topics=domain.TOPICS)
    url = broker(["booking"], [listening])
    poison = event(Event.TICKET_ISSUED)
    store, stop, tries = PostgresStore(notification), asyncio.Event(), []

    async def handle(received: EventMessage) -> None:
        if received.id == poison.id:
            tries.append(received.id)
            raise RuntimeError("cannot be handled")
        await handlers.on_event(store, received)

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
