"""The broker's topology, applied to a real broker: safe to repeat, and nobody may do more than they need."""

from __future__ import annotations

import json
import uuid

import aio_pika
import aiormq
import pytest
from pydantic import SecretStr

from components.broker_topology import EVENTS, Subscription
from scripts.local.servers.rabbitmq import ADMIN, RabbitMQ
from services.common import rabbitmq, topology
from tests.services.broker import Broker

REFUSED = (aiormq.exceptions.ChannelAccessRefused, aio_pika.exceptions.ChannelClosed)


@pytest.fixture
def listening() -> Subscription:
    return Subscription(service="notification", queue=f"test.{uuid.uuid4()}", topics=["order.*"])


async def test_applying_it_again_changes_nothing_and_keeps_messages(broker: Broker, listening: Subscription) -> None:
    url = broker(["booking"], [listening])
    async with rabbitmq.connection(url("booking")) as connected, connected.channel() as channel:
        events = await channel.get_exchange(EVENTS)
        await events.publish(aio_pika.Message(b"kept"), routing_key="order.placed")
    broker(["booking"], [listening])
    async with rabbitmq.connection(url("admin")) as connected, connected.channel() as channel:
        message = await (await channel.get_queue(listening.queue)).get()
        assert message is not None
        assert message.body == b"kept"
        await message.ack()


@pytest.mark.parametrize("user", ["booking", "notification"])
async def test_a_service_may_make_no_queue(broker: Broker, listening: Subscription, user: str) -> None:
    url = broker(["booking"], [listening])
    async with rabbitmq.connection(url(user)) as connected, connected.channel() as channel:
        with pytest.raises(REFUSED):
            await channel.declare_queue(f"mine.{uuid.uuid4()}", durable=True)


async def test_who_listens_may_not_publish_and_who_publishes_may_not_listen(
    broker: Broker, listening: Subscription
) -> None:
    url = broker(["booking"], [listening])
    async with rabbitmq.connection(url("notification")) as connected, connected.channel() as channel:
        events = await channel.get_exchange(EVENTS)
        with pytest.raises(REFUSED):
            await events.publish(aio_pika.Message(b"forged"), routing_key="order.completed")
    async with rabbitmq.connection(url("booking")) as connected, connected.channel() as channel:
        queue = await channel.get_queue(listening.queue)
        with pytest.raises(REFUSED):
            await queue.get()


def test_what_the_broker_refuses_is_named(rabbitmq_server: RabbitMQ) -> None:
    queue = {"vhost": "/", "name": "odd", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "odd"}}
    document = {"vhosts": [], "permissions": [], "policies": [], "exchanges": [], "queues": [queue], "bindings": []}
    settings = topology.TopologySettings(
        broker_management_url=rabbitmq_server.management_url,
        broker_administrator=ADMIN,
        broker_password=SecretStr(rabbitmq_server.password),
        broker_topology=json.dumps(document),
        broker_users=SecretStr("{}"),
    )
    with pytest.raises(topology.Refused, match=r"queues/%2F/odd: 400"):
        topology.apply(settings)
