"""Queues of the broker, looked at message by message, as its administrator.

A message that is given back keeps its place. It counts as delivered once more, which is why dead-letter queues have no
delivery limit (components/broker_topology.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from runbooks._kit.management import SECONDS, VHOST, Management
from runbooks._kit.messages import MOST, Message
from runbooks._kit.target import Target

_Run = Callable[[Coroutine[Any, Any, Any]], Any]
# What else of a message its consumer may look at.
_PROPERTIES = ("content_type", "correlation_id", "type", "app_id")


class Broker:
    """A connection to the broker."""

    def __init__(self, runner: asyncio.Runner, connection: Any, channel: Any, management: Management) -> None:
        self._run, self._connection, self._channel, self._management = runner.run, connection, channel, management

    @classmethod
    @contextmanager
    def connected(cls, target: Target) -> Iterator[Broker]:
        """Connect for the length of a block. Raises what the broker answers."""
        secrets = target.operations.broker_secret_arns
        login = target.secret(secrets["administrator"])
        # The administrator's secret knows the management API alone; where AMQP is, every user's says.
        user = target.secret(next(arn for name, arn in sorted(secrets.items()) if name != "administrator"))
        name, password = (quote(login[part], safe="") for part in ("username", "password"))
        url = f"amqps://{name}:{password}@{user['address']}/{VHOST}"
        with Management.connected(target) as management, asyncio.Runner() as runner:
            connection = runner.run(aio_pika.connect(url, ssl_context=target.trust, timeout=SECONDS))
            try:
                yield cls(runner, connection, runner.run(_channel(connection)), management)
            finally:
                runner.run(connection.close())

    def queues(self) -> list[str]:
        """Names of all queues."""
        return sorted(each["name"] for each in self._management.queues())

    def queue(self, name: str) -> BrokerQueue:
        """The queue called ``name``; whether there is one is seen when it is used."""
        return BrokerQueue(name, self._run, self._connection, self._channel)


class BrokerQueue:
    """One queue."""

    def __init__(self, name: str, run: _Run, connection: Any, channel: Any) -> None:
        self.name, self._run, self._connection, self._channel = name, run, connection, channel

    @contextmanager
    def taken(self, wanted: str | None = None) -> Iterator[list[Message]]:
        """What is in it, the oldest first."""
        channel = self._run(_channel(self._connection))
        queue = self._run(channel.get_queue(self.name))
        found: list[Message] = []
        try:
            while len(found) < MOST and (got := self._run(queue.get(fail=False))) is not None:
                found.append(_message(got))
                if found[-1].id == wanted:
                    break
            yield found
        finally:
            for each in found:
                if not each.handle.processed:
                    self._run(each.handle.nack(requeue=True))
            self._run(channel.close())

    def depth(self) -> int:
        """How many are ready; those that somebody has taken are not."""
        declared = self._run(self._channel.declare_queue(self.name, passive=True))
        return int(declared.declaration_result.message_count)

    def send(self, message: Message) -> None:
        """Returns when a majority of the queue's replicas has it; raises when there is no such queue."""
        self._run(
            self._channel.default_exchange.publish(
                aio_pika.Message(
                    message.body,
                    message_id=message.id,
                    headers=dict(message.headers),
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    **message.properties,
                ),
                routing_key=self.name,
                mandatory=True,
                timeout=SECONDS,
            )
        )

    def remove(self, message: Message) -> None:
        self._run(message.handle.ack())


async def _channel(connection: Any) -> Any:
    """A channel is made inside the loop; what cannot be routed is an error and not a word in a log."""
    return await connection.channel(publisher_confirms=True, on_return_raises=True)


def _message(received: AbstractIncomingMessage) -> Message:
    properties = {name: value for name in _PROPERTIES if (value := getattr(received, name)) is not None}
    return Message(
        # What is no event of ours may lack an id: the same body is the same message.
        id=received.message_id or hashlib.sha256(received.body).hexdigest()[:32],
        body=received.body,
        headers=received.headers,
        properties=properties,
        handle=received,
    )
