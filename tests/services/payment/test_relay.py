"""Booking's wish for a refund comes over the broker, and the answer goes back the same way."""

from __future__ import annotations

import uuid
from functools import partial

import aio_pika
import asyncpg
from fastapi import FastAPI
from pydantic import SecretStr

from components.broker_topology import EVENTS, Subscription, dead
from services.common import rabbitmq, relay
from services.common.settings import BrokerSettings
from services.contracts import Event
from services.payment import bootstrap, refunding
from services.payment.adapters.stripe import StripeProcessor
from services.payment.adapters.transactions import transactions
from tests.services.broker import Broker
from tests.services.conftest import eventually
from tests.services.payment.support import asked, captured
from tests.support.databases import Databases


async def test_a_wish_is_taken_from_the_queue_and_answered_by_an_event(
    payment: asyncpg.Pool, databases: Databases, processor: StripeProcessor, broker: Broker, order: str
) -> None:
    await captured(payment, processor, order)
    queue, answers = f"test.{uuid.uuid4()}", f"test.{uuid.uuid4()}"
    url = broker(
        ["payment", "booking"],
        [
            Subscription(service="payment", queue=queue, topics=[Event.ORDER_REFUND_REQUESTED.value]),
            Subscription(service="booking", queue=answers, topics=[Event.PAYMENT_REFUNDED.value]),
        ],
    )
    settings = BrokerSettings(database_url=SecretStr(databases.service("payment")), amqp_url=SecretStr(url("payment")))
    lifespan = relay.lifespan(
        settings, {}, consumers=lambda pool: {queue: partial(refunding.request, transactions(pool))}
    )
    wish = asked(order, 1_200)
    async with (
        rabbitmq.connection(url("admin")) as connected,
        connected.channel() as channel,
        lifespan(FastAPI()),
    ):
        events = await channel.get_exchange(EVENTS)
        for body in (wish.model_dump_json().encode(), b"not an event", wish.model_dump_json().encode()):
            await events.publish(aio_pika.Message(body), routing_key=Event.ORDER_REFUND_REQUESTED.value)

        async def written() -> bool:
            return bool(await payment.fetchval("SELECT count(*) FROM refunds") == 1)

        await eventually(written)
        await bootstrap.carry_out_refunds(payment, processor)
        answer, lost = await channel.get_queue(answers), await channel.get_queue(dead(queue))

        async def arrived() -> bool:
            return bool(await payment.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0)

        await eventually(arrived)
        told = await answer.get(timeout=10)
        assert wish.ids["refundId"].encode() in told.body
        assert (await lost.get(timeout=10)).body == b"not an event"
        await answer.purge()
        await lost.purge()
